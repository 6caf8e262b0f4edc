# SPDX-License-Identifier: Apache-2.0
"""``congress-server``: the daemon.

Signals: SIGTERM, SIGINT and SIGHUP stop it in order, a second one of them at once.  It ends with 0 after an orderly
stop, 1 when it could not start, 2 for a wrong command line.
"""

import gc
import logging
import os
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from congress import __version__
from congress.cmd.signals import StopSignals

if TYPE_CHECKING:
    from congress.conf import Configuration

LOG = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point."""
    signals = StopSignals()
    # Most of a start is importing.  What that makes stays: looking for cycles in it is a tenth of all the work.  The
    # daemon turns the collector on when it has started.
    gc.disable()
    from congress.conf import ConfigurationError, load  # noqa: PLC0415  # after the line above

    try:
        configuration = load(sys.argv[1:] if arguments is None else arguments, version=__version__)
        run(configuration, signals)
    except ConfigurationError as error:
        print(f"congress-server: {error}", file=sys.stderr)
        _leave(1)
    except Exception:
        LOG.exception("server.failed")
        _leave(1)
    _leave(0)


def run(configuration: "Configuration", signals: StopSignals) -> None:
    """Start, wait, stop.

    :raises ConfigurationError: it could not start.
    """
    # Not loaded for --help, nor where the configuration is wrong.
    from congress.cmd.banner import banner  # noqa: PLC0415
    from congress.cmd.daemon import Daemon, Parts  # noqa: PLC0415
    from congress.conf.logs import configure as configure_logs  # noqa: PLC0415

    options = configuration.options
    configure_logs(options.log_format, configuration.log_level, requests=options.log_requests)
    parts = Parts(options.api_part, options.policy_engine, options.datasources)
    daemon = Daemon(configuration, parts if any((parts.api, parts.policy_engine, parts.datasources)) else Parts())
    daemon.check()
    try:
        urls = daemon.start()
        if options.log_format == "text":
            print(banner(urls, configuration), flush=True)
        signals.wait()
    finally:
        signals.attend(daemon.stop)


def _leave(code: int) -> None:
    """End the process, whatever threads libraries have left behind."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    if any(not thread.daemon and thread is not threading.main_thread() for thread in threading.enumerate()):
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()

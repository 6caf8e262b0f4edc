# SPDX-License-Identifier: Apache-2.0
"""What the daemon says when it has started: where it is, and what to do next."""

from collections.abc import Sequence

from congress import __version__
from congress.conf import Configuration

_NEXT = """
A first violation, from another terminal:

  c() {{ curl -sS{login} -H 'Content-Type: application/json' "$@"; }}
  c {url}/v1/cloud-services -d '{{"name": "inventory", "driver": "push",
      "config": {{"tables": {{"servers": ["id", "owner"]}}}}}}'
  c {url}/v1/policies -d '{{"name": "care", "rules": [{{"rule": "error(s) :- inventory:servers(id=s, owner=null)"}}]}}'
  c -X PUT {url}/v1/cloud-services/inventory/tables/servers/rows -d '[["web-1", "ann"], ["web-2", null]]'
  c '{url}/v1/policies/care/tables/error/rows?why=true'

docs/tutorial/ goes on from there.  Ctrl-C stops the daemon."""

_LOGIN = {"http_basic": " -u USER", "keystone": ' -H "X-Auth-Token: $TOKEN"'}


def banner(urls: Sequence[str], configuration: Configuration) -> str:
    """The text for standard output."""
    if not urls:
        return f"Congress {__version__} is running without its API."
    options = configuration.options
    who = "no authentication: for this machine only" if options.auth_strategy == "noauth" else options.auth_strategy
    lines = [f"Congress {__version__} is listening on {' and '.join(urls)} ({who})."]
    if configuration.needs_state_folder():
        lines.append(f"Its database and keys are in {configuration.state_path}.")
    login = _LOGIN.get(options.auth_strategy, "")
    return "\n".join(lines) + "\n" + _NEXT.format(url=urls[0], login=login)

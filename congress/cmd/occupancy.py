# SPDX-License-Identifier: Apache-2.0
"""Who works on a state folder: two policy engines on one ledger would act twice."""

import fcntl
import os
from pathlib import Path

from congress.conf import ConfigurationError


class Occupancy:
    """A part of the daemon at a folder, as long as the process lives or until it is given up."""

    def __init__(self, folder: Path, part: str) -> None:
        """:raises ConfigurationError: another process runs that part on the folder, or it cannot be written to."""
        path = folder / f"{part}.lock"
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(f"cannot write {path}: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise ConfigurationError(
                f"Congress is running already: another process has its {part} on {folder}, and two would act twice. "
                "Stop that one, or give this one a folder of its own: --state-path."
            ) from error

    def give_up(self) -> None:
        """Let others in."""
        os.close(self._descriptor)

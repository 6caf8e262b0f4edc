# SPDX-License-Identifier: Apache-2.0
"""Secrets at rest: Fernet tokens under keys in a file that only the daemon's user can read.

The file has one key a line, newest first.  The newest encrypts, all of them decrypt; so keys are changed in
three steps that each may be interrupted: :func:`add_key`, re-encrypt everything (``ServiceStore.reencrypt``),
:func:`drop_old_keys`.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from congress.db.errors import KeyFileError, SecretUnreadable


class Cipher:
    """Encrypts and decrypts texts.  Any thread, no I/O."""

    def __init__(self, keys: Sequence[str]) -> None:
        """
        :param keys: the newest first.
        :raises KeyFileError: one of them is no Fernet key, or there is none.
        """
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:  # the message would quote nothing, but keep it out of sight all the same
            raise KeyFileError("the key file has no keys, or a line that is no key") from error

    @classmethod
    def open(cls, path: Path) -> "Cipher":
        """The cipher of a key file, which is made, with one fresh key, if it is not there.

        Safe when several processes do it at once: all of them get the same key.
        :raises KeyFileError: the file cannot be read or made, is damaged, or others can read it.
        """
        try:
            keys = _read(path)
        except FileNotFoundError:
            with _locked(path):
                if not path.exists():
                    _write(path, [Fernet.generate_key().decode()])
            keys = _read(path)
        return cls(keys)

    def encrypt(self, text: str) -> str:
        """An opaque ASCII token; another one each time."""
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, token: str) -> str:
        """The text of a token.

        :raises SecretUnreadable: it was made with a key that is not here, or is damaged.
        """
        try:
            return self._fernet.decrypt(token.encode()).decode()
        except (InvalidToken, ValueError) as error:
            raise SecretUnreadable from error


def add_key(path: Path) -> Cipher:
    """Put a fresh key in front; what is encrypted from now on (by the cipher returned) uses it."""
    with _locked(path):
        keys = [Fernet.generate_key().decode(), *_read(path)]
        _write(path, keys)
    return Cipher(keys)


def drop_old_keys(path: Path) -> int:
    """Keep only the newest key; how many went.  Everything must have been encrypted anew before."""
    with _locked(path):
        keys = _read(path)
        _write(path, keys[:1])
    return len(keys) - 1


def _read(path: Path) -> list[str]:
    try:
        with path.open(encoding="ascii") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            if mode & 0o077:
                raise KeyFileError(f"{path} can be read by others than its owner; it must have mode 0600")
            return [line.strip() for line in stream if line.strip()]
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{path} cannot be read: {type(error).__name__}") from error


def _write(path: Path, keys: Sequence[str]) -> None:
    """Replace the file as a whole; whoever reads meanwhile sees the old one or the new one."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write("".join(f"{key}\n" for key in keys))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One writer at a time, over all processes of this machine."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

# SPDX-License-Identifier: Apache-2.0
"""Files that decide who may do what: read only when nobody else can have written them, and again when they change."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LARGEST: Final = 4 * 1024 * 1024  # bytes


class UnsafeFile(Exception):
    """A file cannot be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What tells one content of a file from another without reading it."""

    device: int
    inode: int
    size: int
    changed_ns: int


def mark_of(path: Path) -> Mark | None:
    """The mark of a file as it is now, None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return Mark(found.st_dev, found.st_ino, found.st_size, max(found.st_mtime_ns, found.st_ctime_ns))


def read_safe(path: Path) -> tuple[str, Mark]:
    """The text of a file that only its owner can write, and the owner is root or this process's user.

    :raises UnsafeFile: others can write it, it is not there, too large, no file, or not UTF-8.
    """
    try:
        # Non-blocking, so that a pipe in the file's place cannot hold the caller.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise UnsafeFile(f"{path} cannot be read: {error.strerror}") from error
    try:
        found = os.fstat(descriptor)
        refuse_unsafe(path, found)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(LARGEST + 1)
    finally:
        os.close(descriptor)
    if len(data) > LARGEST:
        raise UnsafeFile(f"{path} is larger than {LARGEST} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnsafeFile(f"{path} is not UTF-8: {error}") from error
    return text, Mark(found.st_dev, found.st_ino, found.st_size, max(found.st_mtime_ns, found.st_ctime_ns))


def refuse_unsafe(path: Path, found: os.stat_result) -> None:
    """Refuse what others can write.

    :raises UnsafeFile: saying what to do.
    """
    if not stat.S_ISREG(found.st_mode):
        raise UnsafeFile(f"{path} is no regular file")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UnsafeFile(f"others than its owner can write {path}: chmod go-w {path}")
    if found.st_uid not in (0, os.geteuid()):
        raise UnsafeFile(f"{path} belongs to the user {found.st_uid}, who is neither root nor the daemon's user")


def others_can_read(path: Path) -> bool:
    """Whether everybody on this machine can read a file."""
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False

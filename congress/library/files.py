# SPDX-License-Identifier: Apache-2.0
"""Library policies in files: those that come with this package, and those of a folder of the operator's."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from congress.db.library import LibraryRecord
from congress.library.documents import record_of
from congress.library.errors import LibraryFileError
from congress.policy.errors import PolicyRuntimeError
from congress.tools.documents import DOCUMENTS, load_document
from congress.tools.errors import ToolError

LOG = logging.getLogger(__name__)

SHIPPED: Final = Path(__file__).parent / "policies"
"""The folder of the policies that come with this package."""


def read_file(path: Path) -> LibraryRecord:
    """The library policy of one file, YAML or JSON.

    :raises LibraryFileError: naming the file and what is wrong with it.
    """
    try:
        document = load_document(path)
        if not isinstance(document, dict):
            raise LibraryFileError(f"{path} is no library policy: expected an object with `name` and `rules`")
        return record_of(document)
    except ToolError as error:
        raise LibraryFileError(str(error)) from error
    except PolicyRuntimeError as error:
        raise LibraryFileError(f"{path}: {error}") from error


def paths_of(folder: Path) -> list[Path]:
    """The files of a folder, in the order of their names.

    :raises LibraryFileError: the folder cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.suffix in DOCUMENTS)
    except OSError as error:
        raise LibraryFileError(f"cannot read the folder {folder}: {error.strerror}") from error


def read_folder(folder: Path) -> list[LibraryRecord]:
    """All library policies of a folder.

    :raises LibraryFileError: for the first file that cannot be used, or a name that two of them have.
    """
    return _distinct((path, read_file(path)) for path in paths_of(folder))


def read_usable(folder: Path) -> list[LibraryRecord]:
    """The library policies of a folder that can be used; for each of the others an error in the log."""
    found: list[LibraryRecord] = []
    try:
        paths = paths_of(folder)
    except LibraryFileError as error:
        LOG.error("library.folder_failed error=%s", error)
        return []
    for path in paths:
        try:
            record = read_file(path)
        except LibraryFileError as error:
            LOG.error("library.file_failed error=%s", error)
            continue
        if any(record.name == other.name for other in found):
            LOG.error("library.file_failed error=%s has the name of another file: %s", path, record.name)
            continue
        found.append(record)
    return found


def gathered(folders: Iterable[Path]) -> list[LibraryRecord]:
    """The policies of several folders; one in an earlier folder goes before one of the same name in a later one.

    :raises LibraryFileError: as :func:`read_folder`.
    """
    found: dict[str, LibraryRecord] = {}
    for folder in folders:
        for record in read_folder(folder):
            found.setdefault(record.name, record)
    return list(found.values())


def first_filling(folder: Path | None) -> list[LibraryRecord]:
    """What an empty library is filled with: the shipped policies and those of a folder, which go first.

    A file of the folder that cannot be used is left out, with an error in the log.
    """
    own = read_usable(folder) if folder is not None else []
    names = {record.name for record in own}
    return own + [record for record in read_folder(SHIPPED) if record.name not in names]


def _distinct(given: Iterable[tuple[Path, LibraryRecord]]) -> list[LibraryRecord]:
    found: dict[str, LibraryRecord] = {}
    for path, record in given:
        if record.name in found:
            raise LibraryFileError(f"{path} has the name of another file: {record.name}")
        found[record.name] = record
    return list(found.values())

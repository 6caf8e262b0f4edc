# SPDX-License-Identifier: Apache-2.0
"""``congress scaffold driver NAME``: a working driver as a package, with tests, documentation and entry point.

What it writes is in ``scaffold_files`` beside this module: files in which ``@name@``, ``@Name@`` and
``@NAME@`` stand for the driver's name in its three spellings, and ``@version@`` for this version of
Congress.
"""

import importlib.util
import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from congress import __version__
from congress.cloudservices import reference
from congress.cloudservices.catalog import DriverCatalog
from congress.cloudservices.errors import DriverError, InvalidName
from congress.cloudservices.manager import RESERVED

FILES: Final = "scaffold_files"
# Templates of Python files have another ending, so that no tool takes them for modules of ours.
ENDING: Final = ".in"
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


class FolderInUse(DriverError):
    """The folder has files already."""

    code = "folder_in_use"


def scaffold_driver(name: str, folder: Path | None = None) -> list[Path]:
    """Write a package for a driver.

    :param name: the driver's name: lower-case letters, digits, single underscores between them.
    :param folder: where to; by default ``congress-NAME`` here.
    :returns: what was written, in order.
    :raises InvalidName: the name is none, a word of Python or of ours, or that of a driver that is installed.
    :raises FolderInUse: the folder is there and not empty; nothing is written.
    """
    if not _NAME.fullmatch(name) or name in RESERVED or len(name) > 40:
        raise InvalidName("a driver's name has lower-case letters, digits and single underscores, such as 'my_cmdb'")
    if name in DriverCatalog().names():
        raise InvalidName(f"there is a driver {name!r} already; which of the two would run is left to chance")
    target = folder if folder is not None else Path(f"congress-{name.replace('_', '-')}")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FolderInUse(f"{target} has something in it already")
    words = {
        "@name@": name,
        "@Name@": "".join(word.capitalize() for word in name.split("_")),
        "@NAME@": name.upper(),
        "@version@": __version__,
    }
    written: list[Path] = []
    _copy(resources.files(__package__) / FILES, target, words, written)
    written.append(_document(target, name, words["@Name@"]))
    return written


def _document(target: Path, name: str, spelled: str) -> Path:
    """Write the page of documentation, which is made from the driver that has just been written."""
    package = f"congress_{name}"
    spec = importlib.util.spec_from_file_location(f"_scaffold_{name}", target / package / "driver.py")
    if spec is None or spec.loader is None:
        raise DriverError(f"{target / package} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path = target / "docs" / f"{name}.rst"
    path.parent.mkdir(exist_ok=True)
    path.write_text(reference.page(getattr(module, f"{spelled}Driver"), name), encoding="utf-8")
    return path


def _copy(source: Traversable, target: Path, words: dict[str, str], written: list[Path]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for entry in sorted(source.iterdir(), key=lambda entry: entry.name):
        path = target / _filled(entry.name, words)
        if entry.is_dir():
            _copy(entry, path, words, written)
        elif path.suffix == ENDING:
            path = path.with_suffix("")
            path.write_text(_filled(entry.read_text(encoding="utf-8"), words), encoding="utf-8")
            written.append(path)


def _filled(text: str, words: dict[str, str]) -> str:
    for mark, word in words.items():
        text = text.replace(mark, word)
    return text

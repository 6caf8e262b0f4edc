# SPDX-License-Identifier: Apache-2.0
"""Hashes of strings, as their UTF-8 bytes."""

import hashlib
import zlib

from congress.datalog.builtins.kinds import text
from congress.datalog.builtins.shelf import Shelf, gives, undefined
from congress.datalog.values import Value

hashes = Shelf(
    "hash",
    "Of the string's UTF-8 bytes. ``md5`` and ``crc32`` tell texts apart that nobody forged; use "
    "``sha256`` for anything else.",
)


@hashes(
    "sha256(a: string -> digest: string)",
    gives('sha256("abc", x)', x="ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    undefined("sha256(1, x)"),
)
def sha256(a: Value) -> Value:
    """The SHA-256 digest in hexadecimal."""
    return hashlib.sha256(text(a).encode()).hexdigest()


@hashes(
    "md5(a: string -> digest: string)",
    gives('md5("abc", x)', x="900150983cd24fb0d6963f7d28e17f72"),
    undefined("md5(null, x)"),
)
def md5(a: Value) -> Value:
    """The MD5 digest in hexadecimal, as Glance shows it for images."""
    return hashlib.md5(text(a).encode(), usedforsecurity=False).hexdigest()


@hashes(
    "crc32(a: string -> checksum: integer)",
    gives('crc32("abc", x)', x=891568578),
    undefined("crc32(true, x)"),
)
def crc32(a: Value) -> Value:
    """The CRC-32 checksum; ``crc32(id) % 10`` puts ids into ten groups that stay the same."""
    return zlib.crc32(text(a).encode())

# SPDX-License-Identifier: Apache-2.0
"""From the tokens of numbers and strings to the values they mean, and back."""

import re
from typing import Final, NamedTuple

from congress.datalog.values import Bool, Value

SMALLEST: Final = -(2**63)  # beyond these no JSON library and no database keeps an integer exact
LARGEST: Final = 2**64 - 1

_DECIMAL: Final = re.compile(r"0+|[1-9][0-9]*")
_FLOAT: Final = re.compile(r"(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][+-]?[0-9]+)?")
_RADIX: Final = {
    16: re.compile(r"0[xX]0*([0-9a-fA-F]+)"),
    8: re.compile(r"0[oO]0*([0-7]+)"),
    2: re.compile(r"0[bB]0*([01]+)"),
}
_MOST_DIGITS: Final = 80  # more than any radix needs for LARGEST

_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))")
_DECODED: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
_ENCODED: Final = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\", '"': '\\"'}
_NEVER: Final = re.compile("[\0\ud800-\udfff]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class BadConstant(Exception):
    """A number that means nothing: ``message`` goes on after the number's text."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class BadEscape(NamedTuple):
    """An unknown escape at an offset of a string's inside."""

    offset: int
    letter: str


def read_number(text: str, sign: int = 1) -> int | float:
    """The value of a number's text, times ``sign``.

    :raises BadConstant: when it is not written as numbers are, or too large.
    """
    if _DECIMAL.fullmatch(text):
        return _integer(text, 10, sign)
    for radix, pattern in _RADIX.items():
        match = pattern.fullmatch(text)
        if match:
            return _integer(match.group(1), radix, sign)
    if _FLOAT.fullmatch(text):
        value = float(text)
        if value == float("inf"):
            raise BadConstant("is too large", "floats go to about 1.8e308")
        return sign * value
    if text.isdecimal():
        plain = text.lstrip("0")[:20]
        raise BadConstant("begins with a zero", f"write {plain}, or 0o17 for octal numbers, or a text in quotes")
    raise BadConstant("is not a number", "a text stands in quotes; a name begins with a letter")


def _integer(digits: str, radix: int, sign: int) -> int:
    if len(digits) <= _MOST_DIGITS:
        value = sign * int(digits, radix)
        if SMALLEST <= value <= LARGEST:
            return value
    elif not digits.strip("0"):
        return 0
    raise BadConstant("is too large", "integers go from -2^63 to 2^64 - 1; write it as a float: 1e30")


def read_string(inside: str) -> tuple[str, list[BadEscape]]:
    """The text that a string means whose inside (without quotes) is given, and its unknown escapes."""
    bad: list[BadEscape] = []

    def decoded(match: re.Match[str]) -> str:
        code = match.group(1) or match.group(2)
        if code:
            return chr(int(code, 16))
        letter = match.group(3)
        if letter not in _DECODED:
            bad.append(BadEscape(match.start(), letter))
            return str(letter)
        return _DECODED[letter]

    text = _ESCAPE.sub(decoded, inside)
    if _SURROGATE.search(text):
        # Pairs, as JSON writes them, become the one character they mean; halves stay and are reported.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return text, bad


def bad_character(text: str) -> str | None:
    """A character of ``text`` that no text may hold, since databases and JSON cannot: NUL or half a pair."""
    found = None if text.isascii() and "\0" not in text else _NEVER.search(text)
    return found.group() if found else None


def write_value(value: Value) -> str:
    """A value as the language writes it."""
    if isinstance(value, str):
        return write_string(value)
    if value is None:
        return "null"
    return repr(value) if isinstance(value, (Bool, int)) else _write_float(value)


def _write_float(value: float) -> str:
    text = repr(value)
    return text if text not in {"inf", "-inf", "nan"} else write_string(text)


def write_string(text: str) -> str:
    """A text in double quotes, with escapes for what cannot be read or would end it."""
    return '"' + "".join(map(_written, text)) + '"' if not _is_plain(text) else f'"{text}"'


def _is_plain(text: str) -> bool:
    return text.isprintable() and '"' not in text and "\\" not in text


def _written(character: str) -> str:
    if character in _ENCODED:
        return _ENCODED[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"

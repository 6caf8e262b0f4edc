# SPDX-License-Identifier: Apache-2.0
"""Test results as JUnit XML, the form that CI systems read."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from congress.tools.errors import ToolError
from congress.tools.policytests import Broken, Result

# XML 1.0 has no place for these, not even escaped.
_FORBIDDEN = dict.fromkeys((*(set(range(32)) - {9, 10, 13}), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF))


def write_junit(path: Path, results: Iterable[Result], broken: Iterable[Broken] = ()) -> None:
    """Write one suite per test file.

    :raises ToolError: when it cannot be written.
    """
    root = ElementTree.Element("testsuites", name="congress test")
    suites: dict[Path, list[Result]] = {}
    for result in results:
        suites.setdefault(result.case.file, []).append(result)
    errors = {item.file: str(item.error) for item in broken}
    for file in dict.fromkeys((*suites, *errors)):
        _add_suite(root, str(file), suites.get(file, []), errors.get(file))
    ElementTree.indent(root)
    try:
        ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise ToolError(f"cannot write {path}: {error.strerror}") from error


def _add_suite(root: ElementTree.Element, file: str, results: list[Result], error: str | None) -> None:
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        name=file,
        tests=str(len(results) + (error is not None)),
        failures=str(sum(1 for result in results if result.failures)),
        errors=str(int(error is not None)),
        time=f"{sum(result.seconds for result in results):.6f}",
    )
    for result in results:
        case = ElementTree.SubElement(
            suite, "testcase", classname=file, name=_clean(result.case.name), time=f"{result.seconds:.6f}"
        )
        if result.failures:
            _add_reason(case, "failure", result.failures)
    if error is not None:
        case = ElementTree.SubElement(suite, "testcase", classname=file, name="the file", time="0.000000")
        _add_reason(case, "error", [error])


def _add_reason(case: ElementTree.Element, tag: str, reasons: Sequence[str]) -> None:
    lines = _clean("\n".join(reasons))
    ElementTree.SubElement(case, tag, message=lines.partition("\n")[0]).text = lines


def _clean(text: str) -> str:
    return text.translate(_FORBIDDEN)

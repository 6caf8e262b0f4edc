# SPDX-License-Identifier: Apache-2.0
"""Test results as JUnit XML, the form that CI systems read."""

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

from congress.tools.policytests import Result

# XML 1.0 has no place for these, not even escaped.
_FORBIDDEN = {code: None for code in range(32) if code not in (9, 10, 13)}


def write_junit(path: Path, results: Iterable[Result]) -> None:
    """Write one suite per test file."""
    root = ElementTree.Element("testsuites", name="congress test")
    suites: dict[str, ElementTree.Element] = {}
    counts: dict[str, list[float]] = {}
    for result in results:
        file = str(result.case.file)
        if file not in suites:
            suites[file] = ElementTree.SubElement(root, "testsuite", name=file)
            counts[file] = [0, 0, 0.0]
        case = ElementTree.SubElement(
            suites[file], "testcase", classname=file, name=_clean(result.case.name), time=f"{result.seconds:.6f}"
        )
        if result.failures:
            first = _clean(result.failures[0]).splitlines()[0]
            failure = ElementTree.SubElement(case, "failure", message=first)
            failure.text = _clean("\n".join(result.failures))
        for at, number in enumerate((1, bool(result.failures), result.seconds)):
            counts[file][at] += number
    for file, suite in suites.items():
        tests, failures, seconds = counts[file]
        suite.set("tests", f"{tests:.0f}")
        suite.set("failures", f"{failures:.0f}")
        suite.set("time", f"{seconds:.6f}")
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _clean(text: str) -> str:
    return text.translate(_FORBIDDEN)

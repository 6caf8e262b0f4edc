# SPDX-License-Identifier: Apache-2.0
"""The reference page of the diagnostics has every code there is, with an example where the test cases have one."""

import re
import subprocess
import sys

import pytest

from tests.docs.pages import DOCS


@pytest.fixture(scope="module")
def text():
    """What the page's directive writes: in a process of its own, where no test has declared anything."""
    pytest.importorskip("sphinx", reason="the docs are built with sphinx")
    code = "import diagnostics; print('\\n'.join(diagnostics.diagnostics_text())); print(*diagnostics.declared_codes())"
    path = f"{DOCS / '_ext'}:{DOCS.parent}"
    run = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": path}, check=True, capture_output=True, text=True, timeout=120
    )
    return run.stdout


def test_every_code_is_on_the_page(text):
    *page, declared = text.splitlines()
    defined = [line for line in page if re.fullmatch(r"[A-Z]\d{3}", line)]
    assert sorted(defined) == declared.split()
    assert len(defined) > 50
    assert ".. declared-diagnostics::" in (DOCS / "reference" / "diagnostics.rst").read_text(encoding="utf-8")


def test_codes_of_texts_and_rules_have_examples(text):
    for code in ("S001", "S009", "R007", "W001"):
        found = re.search(rf"^{code}\n(?:    .*\n|\n)+", text, re.MULTILINE)
        assert found
        assert re.search(r"policy:1:\d+: (error|warning)\[", found[0])
        assert "^" in found[0]

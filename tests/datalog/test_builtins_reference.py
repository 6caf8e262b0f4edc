# SPDX-License-Identifier: Apache-2.0
"""The reference page and the how-to page of the built-ins say what is so."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import docutils.core
import pytest

from congress.datalog.builtins import core_registry, reference
from congress.datalog.builtins.extensions import load
from tests.datalog.literals import evaluate, expected

DOCS = Path(__file__).parents[2] / "docs"


def code_block(page: str, language: str) -> str:
    """The first code block in that language of a page."""
    lines = page.splitlines()
    start = lines.index(f".. code-block:: {language}") + 2
    block = []
    for line in lines[start:]:
        if line and not line.startswith("   "):
            break
        block.append(line[3:])
    return "\n".join(block)


def test_reference_page_is_up_to_date() -> None:
    page = (DOCS / "reference" / "builtins.rst").read_text(encoding="utf-8")
    assert page == reference.render_rst(core_registry()), (
        "run python -m congress.datalog.builtins.reference docs/reference/builtins.rst"
    )


def test_reference_page_is_written_by_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "page.rst"
    monkeypatch.setattr(sys, "argv", ["reference", str(target)])
    reference.main()
    assert target.read_bytes() == (DOCS / "reference" / "builtins.rst").read_bytes()


def test_reference_page_has_every_builtin_and_is_well_formed() -> None:
    page = reference.render_rst(core_registry())
    for builtin in core_registry():
        assert f".. _builtin-{builtin.name}:" in page
        assert f"``{builtin.signature}``" in page
        assert builtin.description in page
        assert all(example.literal in page for example in builtin.examples)
    plain = page.replace(":doc:", ":literal:").replace(":ref:", ":literal:")  # Sphinx knows these two
    docutils.core.publish_string(plain, writer="null", settings_overrides={"report_level": 2, "halt_level": 2})


def test_howto_example_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (DOCS / "howto" / "add-a-builtin.rst").read_text(encoding="utf-8")
    (tmp_path / "flavor_builtins.py").write_text(code_block(page, "python"))
    monkeypatch.syspath_prepend(tmp_path)
    group, line = code_block(page, "toml").strip().splitlines()
    assert group == '[project.entry-points."congress.builtins"]'
    name, _, value = line.partition(" = ")
    registry = core_registry()
    found = load(registry, [EntryPoint(name, value.strip('"'), "congress.builtins")])
    assert not found.faults
    for builtin in found.builtins:
        registry.add(builtin)
        assert builtin.examples
        for example in builtin.examples:
            assert evaluate(registry, example.literal) == expected(example.result)
    assert "flavor_size" in registry
    assert "Flavors\n-------" in reference.render_rst(registry)

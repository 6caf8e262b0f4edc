# SPDX-License-Identifier: Apache-2.0
"""Any text at all: nothing but findings comes out, in linear time."""

import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from congress.datalog.diagnostics import PolicyError
from congress.datalog.expressions import MAX_OPERATIONS
from congress.datalog.formatter import format as format_program
from congress.datalog.parser import parse, parse_partial
from congress.datalog.tokens import tokenize
from tests.datalog import strategies, syntax_cases
from tests.datalog.any_text import examine

TEXTS = [case["text"] for name in ("trees", "errors", "checks", "format") for case in syntax_cases.load(name)]
PIECES = sorted({token for text in TEXTS for token in tokenize(text).texts if token})
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_of_the_cases(text):
    examine(text)


@given(st.text())
def test_any_text(text):
    examine(text)


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.sampled_from([" ", "\n"])), max_size=30))
def test_any_tokens(pieces):
    examine("".join(pieces))


def test_found_by_fuzzing():
    """Texts that once broke something."""
    examine("p(x) :- q(\n  x- //\udc98the server\n  /* any */ _), r(x)")
    examine("t(builtin:muiltin:max(a))")


def mutated(text, random):
    """``text`` with some of its tokens lost, doubled, moved or replaced."""
    tokens = [token for token in tokenize(text).texts if token] or ["p"]
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(tokens))
        other = random.randrange(len(tokens))
        what = random.randrange(5)
        if what == 0:
            tokens[at] = ""
        elif what == 1:
            tokens[at] += tokens[other]
        elif what == 2:
            tokens[at], tokens[other] = tokens[other], tokens[at]
        elif what == 3:
            tokens[at] = random.choice(PIECES)
        else:
            cut = random.randint(0, len(tokens[at]))
            tokens[at] = tokens[at][:cut] + random.choice("()[],;.:\"'\\+-*/%=<>!#_ \n0aé\ud800\0") + tokens[at][cut:]
    return random.choice(["", " ", "\n"]).join(tokens)


@pytest.mark.parametrize("seed", range(8))
def test_mutated_programs(seed):
    random = Random(seed)
    outcomes = Counter(examine(mutated(random.choice(TEXTS), random)) for _ in range(250))
    assert min(outcomes[True], outcomes[False]) > 10


@given(strategies.programs, st.integers(0, 2**32))
def test_mutated_random_programs(program, seed):
    examine(mutated(format_program(program), Random(seed)))


# Each is repeated: what a parser could read again and again, or fail at again and again.
REPEATED = [
    "p(x) :- q(x)\n", "p", "p(", "(", ")", "p)\n", "p :- ((", "p :- (x", "p :- -", "-", '"', '"a\n', "'\\'", "\\",
    "/*", "/* */", "/", "*/", "//\n", "// ", "#", "p.", "a:b:", "a : b : ", ":", ".", "1.", "0x", "1e", "9", "p(x=1, 2",
    "not ", "!p(", "!", "p :- x+(1)-", "p :- x + (", "p- ", "p- (", "execute[", "insert[p :- ", "p :- f(", "\ufeff",
    "p(\n", " p)\n", "p)", "x;\n", "x = 1, ", ", ", "p :- q, ", "p, ", "p(x) q ", " ", "\n", "é", "\0", "\ud800", "&",
    "<", "=", "p :- x < ", "p(\"\\q\") ", "p(True) ", "p(r\"\" ", "p :- a <> b, ", "]", "p :- 1 + 1, ",
]  # fmt: skip


def steps(text):
    """Lines of this package executed, and characters that the tokenizer made tokens of, to parse ``text``."""
    lines = 0

    def trace(frame, event, _argument):
        nonlocal lines
        if "congress" not in frame.f_code.co_filename:
            return None
        lines += event == "line"
        return trace

    def run():
        sys.settrace(trace)
        try:
            parse_partial(text)
        finally:
            sys.settrace(None)

    # A thread of its own: the tracer of a coverage run, if there is one, stays where it is.
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert lines
    return lines


@pytest.mark.parametrize("unit", REPEATED)
def test_work_grows_linearly(unit):
    count = 600 // len(unit) + 10
    small, large = steps(unit * count), steps(unit * count * 4)
    assert large <= 4.2 * small + 100


@pytest.mark.parametrize("unit", REPEATED)
def test_long_texts(unit):
    # Where a pattern or a search went back over what it had read, this would take hours.
    text = unit * (200_000 // len(unit))
    began = time.process_time()
    _, found = parse_partial(text)
    str(PolicyError(found)).encode()
    assert time.process_time() - began < 20


@pytest.mark.parametrize("text", ["(" * 100_000, "f(" * 100_000, "-" * 100_000, "1+" * 100_000 + "1"])
def test_depth_is_limited(text):
    _, found = parse_partial("p(x) :- y = " + text)
    assert [item.code for item in found] == ["S007"]


def test_deepest_expressions_need_little_of_the_stack():
    deep = MAX_OPERATIONS - 1
    texts = [
        f"p(x) :- y = {'(1 - ' * (deep // 2)}x{')' * (deep // 2)}",
        f"p(x) :- y = {'f(' * deep}x{')' * deep}",
        f"p(x) :- y = {'-' * deep}x",
        f"p(x) :- y = x{' + x' * deep}",
        f"p({'f(' * deep}x{')' * deep})",
    ]
    limit = sys.getrecursionlimit()

    def run():
        sys.setrecursionlimit(400)  # of 1000: the rest is the caller's
        try:
            for text in texts:
                program = parse(text)
                assert parse(format_program(program)) == program
                assert hash(program.statements)
        except (AssertionError, RecursionError, PolicyError) as error:
            failures.append(error)

    failures: list[Exception] = []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    sys.setrecursionlimit(limit)
    assert not failures


def test_atheris(tmp_path):
    """A short run of the coverage-guided fuzzer; its harness tells how to run it for longer."""
    pytest.importorskip("atheris", reason="there is no atheris for this platform", exc_type=ImportError)
    corpus = tmp_path / "corpus"
    harness = [sys.executable, "-m", "tests.fuzz.parser"]
    subprocess.run([*harness, "--seeds", str(corpus)], check=True, cwd=ROOT, timeout=120)
    bounds = ["-runs=8000", "-max_total_time=30", "-seed=1", "-max_len=300", f"-artifact_prefix={tmp_path}/"]
    run = subprocess.run(
        [*harness, *bounds, str(corpus)], check=False, cwd=ROOT, timeout=300, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-5000:]
    assert "Done" in run.stderr


def test_simple_rules_are_cheap():
    # With some 300 steps a core at 2.5 GHz reads 48 000 such rules in a second.
    count = 200
    assert steps("p(x, y) :- q(x, z), r(z, y)\n" * count) / count < 350

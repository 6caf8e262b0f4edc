# SPDX-License-Identifier: Apache-2.0
"""Random syntax objects for hypothesis: whatever the grammar can say, whether or not it makes sense."""

from hypothesis import strategies as st

from congress.datalog.constants import LARGEST, SMALLEST
from congress.datalog.syntax import (
    Aggregate,
    Anonymous,
    Atom,
    Call,
    Comparison,
    Constant,
    Literal,
    Modal,
    Named,
    Operation,
    Program,
    Rule,
    Variable,
)
from congress.datalog.tokens import AGGREGATES, MODALS, PYTHON_WORDS, RESERVED_WORDS
from congress.datalog.values import FALSE, TRUE

# Fixed names rather than drawn ones: a program has dozens, and drawing is what takes the time.
NAMES = [
    "p",
    "q",
    "x",
    "y",
    "Z",
    "_a",
    "a_1",
    "servers.pause",
    "x.1.y",
    "été",
    "表",
    "nothing",
    "executed",
    "Not",
    "truely",
    "null_",
]
assert not set(NAMES) & (RESERVED_WORDS | PYTHON_WORDS.keys())
names = st.sampled_from([*NAMES, *sorted(AGGREGATES)])
"""Names of tables, services, variables and built-ins."""

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
values = st.one_of(
    texts,
    st.integers(SMALLEST, LARGEST),
    st.integers(-3, 12),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([TRUE, FALSE, None]),
)
"""Values of rows and constants."""

variables = st.builds(Variable, names)
constants = st.builds(Constant, values)
simple_terms = st.one_of(variables, constants, st.just(Anonymous()))


def _larger(terms):
    return st.one_of(
        st.builds(Operation, st.sampled_from("+-*/%"), terms, terms),
        st.builds(Call, names, st.lists(terms, max_size=3).map(tuple)),
    )


expressions = st.recursive(simple_terms, _larger, max_leaves=4)
"""Terms as they may stand in a comparison."""

aggregates = st.builds(Aggregate, st.sampled_from(sorted(AGGREGATES)), variables)
_columns = st.one_of(names, st.integers(0, 99999))
_services = st.one_of(st.none(), st.none(), names)
_signs = st.sampled_from(["", "", "", "+", "-"])


@st.composite
def atoms(draw, terms=simple_terms):
    """A table with arguments."""
    service = draw(_services)
    table = draw(names)
    if service is not None:
        table = draw(
            st.one_of(st.just(table), names.map(lambda more: f"{table}:{more}"), st.sampled_from(sorted(MODALS)))
        )
    args = tuple(draw(st.lists(terms, max_size=3)))
    named = tuple(Named(column, draw(terms)) for column in draw(st.lists(_columns, max_size=2)))
    return Atom(service, table, args, named, draw(_signs))


head_atoms = atoms(st.one_of(simple_terms, simple_terms, aggregates, expressions))
heads = st.one_of(head_atoms, head_atoms, st.builds(Modal, st.sampled_from(sorted(MODALS)), head_atoms))
truths = st.sampled_from([Atom(None, "true"), Atom(None, "false")])
literals = st.builds(Literal, st.one_of(atoms(), atoms(), atoms(expressions), truths), st.booleans())
comparisons = st.builds(
    Comparison, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), expressions, expressions, st.booleans()
)
items = st.one_of(literals, literals, comparisons)
facts = st.builds(Rule, st.lists(heads, min_size=1, max_size=2).map(tuple))
rules = st.builds(
    Rule,
    st.lists(heads, min_size=1, max_size=2).map(tuple),
    st.lists(items, min_size=1, max_size=4).map(tuple),
    st.just(True),
)
programs = st.builds(Program, st.lists(st.one_of(facts, rules, rules), max_size=4).map(tuple))
"""Programs as the parser can make them."""

_GAPS = ["", "", " ", " ", "\n", "\t", "\r\n\n", "// c\n", "# c : - (\n", "/* c */", "/* c\n c */", "  // c \n"]


def respaced(tokens, random):
    """The same tokens with other blanks and comments between them."""
    made = []
    for token in tokens:
        gap = "".join(random.choices(_GAPS, k=random.randrange(4)))
        if not gap or (made and made[-1] == "/"):
            gap = " " + gap  # a slash and a comment would be another comment
        made += [gap, token]
    return "".join(made) + random.choice(_GAPS)

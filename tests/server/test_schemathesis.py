# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document taken at its word: schemathesis makes requests of it, sound ones and others, for a real daemon.

No answer is a 5xx, and each is what the document declares.  The same requests in each run, so that a failure is one of
the change that is tested; ``--hostile N`` makes N others in all.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.schemas import APIOperation

from congress.api.openapi import document
from tests.api.declared import problem_with
from tests.server.daemon import Server, serving

EXAMPLES = 12  # requests of each kind for each operation
KNOWN = {
    "policy": "alice",
    "rule": "first",
    "table": "p",
    "service": "lab",
    "driver": "push",
    "library_policy": "shelf",
}
OPERATIONS = sorted(
    (
        found.ok()
        for found in schemathesis.openapi.from_dict(document()).get_all_operations()
        if not found.ok().path.endswith("/stream")  # one that is accepted does not end
    ),
    key=lambda operation: (operation.method.upper() == "DELETE", operation.path),  # what is there stays until the end
)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("state")) as made:
        config = {"tables": {"p": ["x", "y"]}}
        made.ok("POST", "/v1/cloud-services", {"name": "lab", "driver": "push", "config": config})
        rules = [{"rule": "p(x) :- lab:p(x, y)", "name": "first"}]
        made.ok("POST", "/v1/policies", {"name": "alice", "rules": rules})
        made.ok("POST", "/v1/librarypolicies", {"name": "shelf", "rules": rules})
        yield made
        errors = [line for line in made.log if line["level"] == "ERROR"]
        assert not errors, "\n".join(map(str, errors))
        assert made.process.poll() is None


def kinds(operation: APIOperation[Any, Any, Any, Any]) -> Iterator[GenerationMode]:
    """Sound requests; and spoilt ones, unless it takes nothing that could be."""
    yield GenerationMode.POSITIVE
    declared = document()["paths"][operation.path][operation.method.lower()]
    body = declared.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if body or any(parameter["in"] == "query" for parameter in declared.get("parameters", ())):
        yield GenerationMode.NEGATIVE


CASES = [(operation, mode) for operation in OPERATIONS for mode in kinds(operation)]


@pytest.mark.parametrize(
    ("operation", "mode"), CASES, ids=[f"{one.method.upper()} {one.path} {mode.value}" for one, mode in CASES]
)
def test_the_document_holds(
    operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, daemon: Server, request: pytest.FixtureRequest
) -> None:
    wanted = request.config.getoption("--hostile")

    @seed(20260101)
    @settings(
        max_examples=max(1, wanted // len(CASES)) if wanted else EXAMPLES,
        derandomize=not wanted,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
    def ask(case: schemathesis.Case, known: bool) -> None:
        if known:
            case.path_parameters.update({name: value for name, value in KNOWN.items() if name in case.path_parameters})
        response = case.call(base_url=daemon.url, timeout=60)
        assert response.status_code < 500, response.text
        parts = urlsplit(response.request.url)
        query = parse_qs(str(parts.query), keep_blank_values=True)
        kind = (response.headers.get("content-type") or [""])[0]
        path = unquote(str(parts.path))
        problem = problem_with(case.method.upper(), path, query, response.status_code, kind, response.content)
        assert not problem, f"{response.request.method} {response.request.url} {response.request.body!r}: {problem}"

    ask()

# SPDX-License-Identifier: Apache-2.0
"""Secrets that only their names tell."""

import json
from typing import Any

import pytest

from congress.cloudservices import telltale
from congress.cloudservices.telltale import forms, is_telling, mask, restored, secrets_in


@pytest.mark.parametrize(
    "name",
    [
        *("authorization", "Authorization", "Proxy-Authorization", "X-Auth-Token", "X_AUTH_TOKEN", "x-subject-token"),
        *("api-key", "apiKey", "APIKey", "apikey", "X-Api-Key", "Ocp-Apim-Subscription-Key", "x-functions-key"),
        *("Cookie", "Set-Cookie", "session", "sessionId", "PHP_SESSION", "access_token", "client_secret", "password"),
        *("userPassword", "passwd", "sig", "signature", "X-Amz-Signature", "X-Amz-Credential", "private_key", "jwt"),
    ],
)
def test_telling_names(name: str) -> None:
    assert is_telling(name)


@pytest.mark.parametrize(
    "name",
    [
        *("Accept", "Content-Type", "X-Version", "key", "keys", "limit", "page_token", "nextToken", "pageToken"),
        *("author", "authentic", "tokenizer", "design", "secretary", "monkey", "X-Request-Id", "hotkey", ""),
    ],
)
def test_other_names(name: str) -> None:
    assert not is_telling(name)


CASES: list[tuple[Any, Any]] = [
    ({"headers": {"Cookie": "a", "Accept": "b"}}, {"headers": {"Cookie": "<hidden>", "Accept": "b"}}),
    (
        {"tables": {"token": {"params": {"sig": "a", "token": 1}}}},
        {"tables": {"token": {"params": {"sig": "<hidden>", "token": 1}}}},
    ),
    ({"body": {"auth": [{"password": "a"}]}}, {"body": {"auth": [{"password": "<hidden>"}]}}),
    (
        {"columns": [{"token": "a"}], "paging": {"token": "$.b"}},
        {"columns": [{"token": "a"}], "paging": {"token": "$.b"}},
    ),
    ("/a?b=c&token=d&e=f#g", "/a?b=c&token=<hidden>&e=f#g"),
    ("https://h/?api%5Fkey=a", "https://h/?api%5Fkey=<hidden>"),
    ("https://h/?api_key=&sig=a", "https://h/?api_key=&sig=<hidden>"),
    ("https://me:sesame@h:1/a", "https://me:<hidden>@h:1/a"),
    ("$.items[?(@.token=='a')].token", "$.items[?(@.token=='a')].token"),
    (
        {"headers": {"X-Auth-Token": "{token}", "Cookie": "a={b}"}},
        {"headers": {"X-Auth-Token": "{token}", "Cookie": "<hidden>"}},
    ),
    ("/a?token={token}", "/a?token={token}"),
    ('{"headers": {"Cookie": "a"}}', {"headers": {"Cookie": "<hidden>"}}),
    ('{"headers": {"Accept": "a"}}', '{"headers": {"Accept": "a"}}'),
    ("{broken", "{broken"),
    ([None, 1, True, "token=a"], [None, 1, True, "token=a"]),
]


@pytest.mark.parametrize(("value", "shown"), CASES, ids=[json.dumps(value)[:50] for value, _ in CASES])
def test_what_is_shown_and_comes_back(value: Any, shown: Any) -> None:
    assert mask(value) == shown
    back = restored(shown, value)
    assert back == (
        json.loads(value) if isinstance(value, str) and value.startswith('{"') and shown != value else value
    )
    assert bool(secrets_in(value)) == (shown != value)


def test_an_option_may_be_the_headers() -> None:
    assert mask({"Cookie": "a"}) == {"Cookie": "a"}
    assert mask({"Cookie": "a"}, ("headers",)) == {"Cookie": "<hidden>"}


def test_what_was_hidden_elsewhere_is_not_known() -> None:
    old = {"headers": {"Cookie": "a"}, "path": "/?token=b"}
    assert restored({"headers": {"Cookie": "<hidden>"}, "path": "/c?x=1&token=<hidden>"}, old) == {
        "headers": {"Cookie": "a"},
        "path": "/c?x=1&token=b",
    }
    for new in ({"headers": {"X-Token": "<hidden>"}}, {"path": "/?sig=<hidden>"}, {"headers": {"Cookie": "<hidden>"}}):
        with pytest.raises(LookupError):
            restored(new, old if "path" in new else {"path": "/?token=b"})
    assert restored({"headers": {"Accept": "<hidden>"}}, old) == {"headers": {"Accept": "<hidden>"}}


def test_forms_of_a_secret() -> None:
    assert forms("Bearer a/b") >= {"Bearer a/b", "a/b", "a%2Fb"}
    assert forms("a%2Fb") >= {"a%2Fb", "a/b"}
    assert telltale.HIDDEN == "<hidden>"

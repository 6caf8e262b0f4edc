# SPDX-License-Identifier: Apache-2.0
"""What becomes of an exception."""

import pytest

from congress.api.errors import CODES, ApiError, failure_of
from congress.bus import errors as bus
from congress.cloudservices import errors as drivers
from congress.datalog.diagnostics import Diagnostic, PolicyError, Source, Span
from congress.db import errors as db
from congress.policy import errors as policy


class Carries(Exception):
    """An error that says itself what it means."""

    status, code = 409, 1008


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ApiError(413, "too long"), 413, 413),
        (ApiError(400, "no name", code=1010), 400, 1010),
        (Carries("again"), 409, 1008),
        (bus.NotFound("no service"), 404, 404),
        (bus.Timeout("late"), 503, 503),
        (bus.PeerLost("gone"), 503, 503),
        (bus.Overloaded("full"), 503, 503),
        (bus.RemoteError("ConfigError", "bad"), 400, 400),
        (bus.RemoteError("ActionArgumentError", "bad"), 400, 1018),
        (bus.RemoteError("KeyError", "bad"), 500, 500),
        (drivers.ConfigError("bad", "url"), 400, 400),
        (drivers.ServiceNotFound(), 404, 404),
        (drivers.ServiceExists(), 409, 409),
        (drivers.TableNotFound(), 404, 404),
        (drivers.RowsError("bad", table="t", row=3), 400, 400),
        (drivers.ActionNotFound("none"), 404, 404),
        (drivers.ActionArgumentError("bad"), 400, 1018),
        (db.NameTaken("alice", "policy"), 409, 409),
        (db.Unavailable("locked"), 503, 503),
        (db.Unstorable("name", "too long"), 400, 400),
        (policy.PolicyNotFound("no"), 404, 1020),
        (policy.RuleExists("again"), 409, 1008),
        (policy.ServiceNotFound("no"), 404, 1016),
        (PolicyError([Diagnostic("S1", "bad")]), 400, 1002),
        (KeyError("x"), 500, 500),
        (RecursionError(), 500, 500),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_status_and_code(error: Exception, status: int, code: int) -> None:
    failure = failure_of(error)
    assert (failure.status, failure.code) == (status, code)
    assert failure.unforeseen is (status == 500)
    document = failure.document()["error"]
    assert set(document) == {"message", "error_code", "error_data"}
    assert document["message"]


def test_every_error_of_drivers_has_a_meaning() -> None:
    classes = [cls for cls in vars(drivers).values() if isinstance(cls, type) and issubclass(cls, drivers.DriverError)]
    assert len(classes) > 10
    assert [cls.__name__ for cls in classes if failure_of(cls("x")).unforeseen] == []


def test_every_error_of_the_runtime_has_a_meaning() -> None:
    root = policy.PolicyRuntimeError
    classes = [cls for cls in vars(policy).values() if isinstance(cls, type) and issubclass(cls, root)]
    assert len(classes) > 10
    assert [cls.__name__ for cls in classes if failure_of(cls("x")).unforeseen] == []


def test_a_fault_of_our_own_says_nothing_about_itself() -> None:
    failure = failure_of(KeyError("password=hunter2"))
    assert "hunter2" not in str(failure.document())


def test_known_codes_lead_with_their_sentence() -> None:
    assert failure_of(policy.RuleExists("here")).message == f"{CODES[1008]}::here"


def test_diagnostics_are_data() -> None:
    error = PolicyError([Diagnostic("S001", "unexpected", Source("p(x) :-", "alice"), Span(5, 7), "write a body")])
    data = failure_of(error).data
    assert isinstance(data, dict)
    assert data["diagnostics"][0]["code"] == "S001"
    assert data["diagnostics"][0]["column"] == 6


def test_driver_details_are_data() -> None:
    data = failure_of(drivers.RowsError("bad", table="t", row=3, column="c")).data
    assert data == {"table": "t", "row": 3, "column": "c"}
    assert failure_of(bus.Timeout()).headers["Retry-After"]

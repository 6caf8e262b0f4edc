# SPDX-License-Identifier: Apache-2.0
"""What was broken in the last OpenStack Congress, one test each: ``w1`` is the first row of that list."""

import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from congress import datalog
from congress.bus.directory import Directory
from congress.bus.messages import Left, Presence
from tests.api.auth import login, write_users
from tests.contract.cases import PATIENCE
from tests.policy.world import World
from tests.server.daemon import Server, serving
from tests.server.test_stream import Events


def rules(*texts: str) -> list[dict[str, str]]:
    return [{"rule": text} for text in texts]


def rows(server: Server, path: str) -> list[list[Any]]:
    return sorted((entry["data"] for entry in server.ok("GET", f"/v1/{path}/rows")["results"]), key=repr)


def refused(server: Server, method: str, path: str, body: Any, *wanted: int) -> dict[str, Any]:
    """The error of a request that must be refused with a status and perhaps a code."""
    status, found, _ = server.request(method, path, body)
    assert (status, found["error"]["error_code"])[: len(wanted)] == wanted, (path, status, found)
    return found["error"]  # type: ignore[no-any-return]


def soon(true: Callable[[], Any]) -> Any:
    """Wait, a bounded time, until something is true; its value."""
    deadline = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def things(server: Server, service: str) -> list[list[Any]]:
    """What a fake cloud has now."""
    server.ok("POST", f"/v1/cloud-services/{service}?action=request-refresh")
    return rows(server, f"cloud-services/{service}/tables/fake_table")


def test_w1_each_of_several_actions_of_one_update_is_the_one_that_was_meant(server: Server) -> None:
    for name in ("w1a", "w1b"):
        server.ok("POST", "/v1/data-sources", {"name": name, "driver": "fake"})
    wanted = [
        'execute[w1a:things.rename("one", "1")] :- go(x)',
        'execute[w1b:things.rename("two", "2")] :- go(x)',
        'execute[w1a:fake_act("three")] :- go(x)',
        "go(1)",
    ]
    server.ok("POST", "/v1/policies", {"name": "w1", "rules": rules(*wanted)})
    soon(lambda: things(server, "w1a") == [["one", "1"]] and things(server, "w1b") == [["two", "2"]])

    def done() -> list[tuple[str, str]]:
        found = server.ok("GET", "/v1/executions")["results"]
        return sorted((e["service"], e["action"]) for e in found if e["policy"] == "w1" and e["state"] == "succeeded")

    soon(lambda: done() == [("w1a", "fake_act"), ("w1a", "things.rename"), ("w1b", "things.rename")])


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server after its restart: with two policies, a service, and an action that was carried out before."""
    state = tmp_path_factory.mktemp("restarted")
    with serving(state) as server:
        things = {"driver": "fake", "config": {"things": {"x": "X"}, "poll_time": 0.2}}
        server.ok("POST", "/v1/data-sources", {"name": "cloud", **things})
        server.ok("POST", "/v1/policies", {"name": "w2a", "rules": rules("p(1)", "p(x) :- q(x)")})
        server.ok("POST", "/v1/policies", {"name": "w2b", "rules": rules("q(2)")})
        act = 'execute[cloud:things.rename(x, "seen")] :- cloud:fake_table(id=x, name="X")'
        server.ok("POST", "/v1/policies", {"name": "w5", "rules": rules(act)})
        soon(lambda: things_of(server) == [["x", "seen"]])
        server.ok("POST", "/v1/policies", {"name": "last", "rules": rules("execute[cloud:things.count()] :- true")})
        soon(lambda: [e for e in done(server) if e["action"] == "things.count"])
        assert server.stop() == 0
    with serving(state) as server:
        yield server


def things_of(server: Server) -> list[list[Any]]:
    return rows(server, "cloud-services/cloud/tables/fake_table")


def done(server: Server) -> list[dict[str, Any]]:
    found = server.ok("GET", "/v1/executions")["results"]
    return [execution for execution in found if execution["state"] == "succeeded"]


def test_w2_each_rule_is_in_its_own_policy_whatever_is_loaded_with_it(restarted: Server) -> None:
    texts = {p: [r["rule"] for r in restarted.ok("GET", f"/v1/policies/{p}/rules")["results"]] for p in ("w2a", "w2b")}
    assert texts == {"w2a": ["p(1)", "p(x) :- q(x)"], "w2b": ["q(2)"]}
    assert rows(restarted, "policies/w2a/tables/p") == [[1]]
    assert rows(restarted, "policies/w2a/tables/q") == []
    assert [table["id"] for table in restarted.ok("GET", "/v1/policies/w2b/tables")["results"]] == ["q"]


def test_w3_a_simulation_that_fails_leaves_nothing_behind(server: Server) -> None:
    server.ok("POST", "/v1/policies", {"name": "w3", "rules": rules("p(1)", "q(x) :- p(x)")})
    for sequence in ("p+(2) p+(x)", "p+(2) nobody:t+(1)", "p+(2) nothing_such(1)", "p-(1) p+("):
        body = {"query": "q(x)", "sequence": sequence, "action_policy": "action"}
        refused(server, "POST", "/v1/policies/w3?action=simulate", body, 400, 1007)
    assert rows(server, "policies/w3/tables/q") == [[1]]
    assert len(server.ok("GET", "/v1/policies/w3/rules")["results"]) == 2


@pytest.mark.parametrize("text", ["-h", "--help", "--input_string", "--version", "-"])
def test_w4_no_text_of_a_rule_is_taken_for_an_option(server: Server, text: str) -> None:
    name = f"w4_{len(text)}"
    server.ok("POST", "/v1/policies", {"name": name})
    refused(server, "POST", f"/v1/policies/{name}/rules", {"rule": text}, 400, 1002)
    assert server.ok("GET", f"/v1/policies/{name}/rules") == {"results": []}


def test_w5_actions_have_results_and_a_history_and_are_not_repeated_after_a_restart(restarted: Server) -> None:
    # The fake cloud has forgotten what was done to it, so that row is new, and when it was seen to, all is loaded.
    soon(lambda: things_of(restarted) == [["x", "seen"]])
    found = done(restarted)
    # The row that asked for this never ceased to be.
    assert [execution["action"] for execution in found].count("things.count") == 1
    shown = next(execution for execution in found if execution["action"] == "things.count")
    assert shown["policy"] == "last"
    assert restarted.ok("GET", f"/v1/executions/{shown['id']}")["state"] == "succeeded"


def test_w6_passwords_do_not_come_back(server: Server) -> None:
    config = {"username": "u", "password": "w6-secret"}
    made = server.ok("POST", "/v1/data-sources", {"name": "w6", "driver": "fake", "config": config})
    answers = [
        made,
        *(server.ok("GET", path) for path in ("/v1/data-sources", "/v1/data-sources/w6", "/v1/data-sources/w6/status")),
        refused(server, "POST", "/v1/data-sources", {"name": "w6b", "driver": "none", "config": config}, 400),
        refused(server, "POST", "/v1/data-sources", {"name": "w6", "driver": "fake", "config": config}, 409),
        server.ok("PUT", "/v1/data-sources/w6", made),
    ]
    assert made["config"] == {"username": "u", "password": "<hidden>"}
    assert "w6-secret" not in json.dumps([answers, server.log])


def test_w7_single_things_are_guarded_too(tmp_path: Path) -> None:
    write_users(tmp_path)
    configuration = tmp_path / "congress.conf"
    files = f"users_file = {tmp_path}/users\nroles_file = {tmp_path}/roles\n"
    configuration.write_text(f"[DEFAULT]\nauth_strategy = http_basic\n[http_basic]\n{files}")
    reader = {"Authorization": login("reader")["HTTP_AUTHORIZATION"]}
    with serving(tmp_path / "state", "--config-file", str(configuration)) as server:
        for method, path, body in (
            ("DELETE", "/v1/policies/classification", None),
            ("POST", "/v1/policies/classification/rules", {"rule": "p(1)"}),
            ("POST", "/v1/policies/classification?action=execute", {"name": "a:b"}),
            ("DELETE", "/v1/data-sources/congress", None),
            ("DELETE", "/v1/librarypolicies/BadFlavors", None),
        ):
            status, found, _ = server.request(method, path, body, reader)
            assert (status, found["error"]["error_code"]) == (403, 403), path
            assert server.request(method, path, body)[0] == 401
        assert server.request("GET", "/v1/policies/classification", None, reader)[0] == 200


def test_w8_only_listed_actions_are_carried_out(server: Server) -> None:
    config = {"things": {"a": "A"}}
    server.ok("POST", "/v1/data-sources", {"name": "w8", "driver": "fake", "config": config})
    for name in ("cloud.things.clear", "__class__", "cloud.call", "configure", "put_rows", "bus.stop", "things"):
        refused(server, "POST", "/v1/data-sources/w8?action=execute", {"name": name}, 404, 1016)
    assert soon(lambda: things(server, "w8")) == [["a", "A"]]


@pytest.mark.parametrize("kind", ["database", "materialized", "z3"])
def test_w9_policies_of_every_kind_work_and_disturb_no_other(server: Server, kind: str) -> None:
    server.ok("POST", "/v1/policies", {"name": f"w9_{kind}", "kind": kind, "rules": rules("p(-1)", "p(2.5)")})
    server.ok("POST", f"/v1/policies/w9_{kind}/rules", {"rule": "r(x) :- p(x)"})
    server.ok("POST", "/v1/policies", {"name": f"w9_beside_{kind}"})
    server.ok("POST", f"/v1/policies/w9_beside_{kind}/rules", {"rule": f"s(x) :- w9_{kind}:r(x)"})
    assert rows(server, f"policies/w9_beside_{kind}/tables/s") == [[-1], [2.5]]
    assert server.ok("GET", f"/v1/policies/w9_{kind}/tables/r/rows?trace=true")["trace"]
    server.ok("DELETE", f"/v1/policies/w9_{kind}")


def test_w10_violations_are_pushed(server: Server) -> None:
    server.ok("POST", "/v1/policies", {"name": "w10", "rules": rules("error(1)")})
    events = Events(server, "/v1/policies/w10/tables/error/stream")
    assert events.next()[2]["rows"] == [[1]]
    server.ok("POST", "/v1/policies/w10/rules", {"rule": "error(2)"})
    change = events.next()[2]
    assert (change["table"], change["insertions"], change["retractions"]) == ("w10:error", [[2]], [])
    events.close()


def test_w11_null_booleans_and_every_letter(server: Server) -> None:
    config = {"tables": {"t": ["name", "up", "host"]}}
    server.ok("POST", "/v1/data-sources", {"name": "w11", "driver": "push", "config": config})
    given = [["größe 数", True, None], ["None", "True", "x"], ["n", 1, 1.5]]
    server.ok("PUT", "/v1/data-sources/w11/tables/t/rows", given)
    found = rows(server, "data-sources/w11/tables/t")
    assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, given))
    texts = rules("up(n) :- w11:t(name=n, up=true)", "lost(n) :- w11:t(name=n, host=null)", "t(true)")
    server.ok("POST", "/v1/policies", {"name": "w11p", "rules": texts})
    server.until("/v1/policies/w11p/tables/up/rows", [["größe 数"]])
    assert rows(server, "policies/w11p/tables/lost") == [["größe 数"]]
    assert rows(server, "policies/w11p/tables/t") == [[True]]


def test_w12_words_escapes_numbers_and_comments_are_read_as_one_expects(server: Server) -> None:
    texts = rules("t(1, 2)", "any(1) :- t(_, _)", 'esc("a\\tb\\"c")', "n(-5)", "n(0x1f)", "c(1) // the end")
    server.ok("POST", "/v1/policies", {"name": "w12", "rules": texts})
    found = {table: rows(server, f"policies/w12/tables/{table}") for table in ("any", "esc", "n", "c")}
    assert found == {"any": [[1]], "esc": [['a\tb"c']], "n": [[-5], [31]], "c": [[1]]}
    error = refused(server, "POST", "/v1/policies/w12/rules", {"rule": "b(x) :- n(x), t(True, x)"}, 400, 1002)
    assert "true" in error["message"]


def test_w13_columns_by_index_and_by_name_also_where_they_are_denied(server: Server) -> None:
    config = {"tables": {"servers": ["id", "name", "host"]}}
    server.ok("POST", "/v1/data-sources", {"name": "w13", "driver": "push", "config": config})
    server.ok("PUT", "/v1/data-sources/w13/tables/servers/rows", [["a", "web", "h1"], ["b", "db", "h2"]])
    texts = rules(
        'first(x) :- w13:servers(0=x, 2="h1")', 'h("h1") ', 'h("h3")', "empty(x) :- h(x), not w13:servers(host=x)"
    )
    server.ok("POST", "/v1/policies", {"name": "w13p", "rules": texts})
    server.until("/v1/policies/w13p/tables/first/rows", [["a"]])
    server.until("/v1/policies/w13p/tables/empty/rows", [["h3"]])
    refused(server, "POST", "/v1/policies/w13p/rules", {"rule": "x(y) :- w13:servers(9=y)"}, 400, 1002)


def test_w14_built_ins_that_have_no_answer_are_told_and_time_passes_by_itself(server: Server) -> None:
    texts = rules(
        "n(0)", "n(2)",
        "half(x) :- n(x), not builtin:div(1, x, 9)",
        'net("10.0.0.0/8", "10.1.0.0/16")',
        "over(a, b) :- net(a, b), builtin:networks_overlap(a, b)",
        "over(b, a) :- net(a, b), builtin:networks_overlap(b, a)",
        "clock(t) :- builtin:now(t)",
    )  # fmt: skip
    made = server.ok("POST", "/v1/policies", {"name": "w14", "rules": texts})
    assert rows(server, "policies/w14/tables/half") == [[2]]
    status = server.ok("GET", f"/v1/policies/w14/rules/{made['rules'][2]['id']}/status")
    assert status["error_count"] == 1
    assert len(rows(server, "policies/w14/tables/over")) == 2
    before = rows(server, "policies/w14/tables/clock")
    # UTC, whatever the clock on the wall of this machine says.
    assert abs(time.time() - time.mktime(time.strptime(before[0][0], "%Y-%m-%d %H:%M:%S")) + time.timezone) < 3700
    soon(lambda: rows(server, "policies/w14/tables/clock") != before)
    server.ok("DELETE", "/v1/policies/w14")


def test_w15_names_are_not_shared_and_can_stand_in_rules(server: Server) -> None:
    server.ok("POST", "/v1/data-sources", {"name": "w15_service", "driver": "noop"})
    server.ok("POST", "/v1/policies", {"name": "w15_policy"})
    refused(server, "POST", "/v1/policies", {"name": "w15_service"}, 409, 409)
    refused(server, "POST", "/v1/data-sources", {"name": "w15_policy", "driver": "noop"}, 409, 409)
    for name in ("w15:x", "w15 x", "w15-x", "15w", "not", "builtin", ""):
        refused(server, "POST", "/v1/policies", {"name": name}, 400)
        refused(server, "POST", "/v1/data-sources", {"name": name, "driver": "noop"}, 400)


def test_w16_errors_of_clients_are_theirs_and_ids_work_everywhere(server: Server) -> None:
    made = server.ok("POST", "/v1/policies", {"name": "w16", "rules": rules("p(1)")})
    body = {"query": "p(x)", "sequence": "", "action_policy": "action"}
    for key in ("w16", made["id"]):
        assert rows(server, f"policies/{key}/tables/p") == [[1]]
        assert server.ok("GET", f"/v1/policies/{key}/rules/{made['rules'][0]['id']}/status")["original_str"] == "p(1)"
        assert server.ok("POST", f"/v1/policies/{key}?action=simulate", body)["result"] == ["p(1)"]
        assert server.ok("GET", f"/v1/policies/{key}/tables/p")["id"] == "p"
    refused(server, "DELETE", "/v1/policies/w16/rules/none", None, 404)
    refused(server, "DELETE", "/v1/data-sources/none", None, 404, 404)
    refused(server, "DELETE", "/v1/policies/action", None, 403, 403)
    refused(server, "POST", "/v1/policies/w16?action=execute", {"name": "none:act"}, 404, 1016)
    refused(server, "GET", "/v1/librarypolicies/none", None, 404, 404)
    refused(server, "POST", "/v1/policies", {"name": "w16b", "kind": "none"}, 400, 400)
    refused(server, "POST", "/v1/policies/w16?action=simulate", b"{", 400, 400)


def test_w17_put_and_patch_are_alive(server: Server) -> None:
    library = server.ok("POST", "/v1/librarypolicies", {"name": "w17", "rules": rules("p(1)")})
    policy = server.ok("POST", "/v1/policies", {"name": "w17", "rules": rules("p(1)")})
    service = server.ok("POST", "/v1/data-sources", {"name": "w17_service", "driver": "noop"})
    rule = f"/v1/policies/w17/rules/{policy['rules'][0]['id']}"
    for path in (f"/v1/librarypolicies/{library['id']}", "/v1/policies/w17", f"/v1/data-sources/{service['id']}"):
        assert server.ok("PATCH", path, {"description": "patched"})["description"] == "patched"
        shown = server.ok("GET", path)
        assert server.ok("PUT", path, {**shown, "description": "put"}) == {**shown, "description": "put"}
    assert server.ok("PATCH", rule, {"comment": "patched"})["comment"] == "patched"
    assert server.ok("PUT", rule, server.ok("GET", rule))["comment"] == "patched"


def test_w18_a_rule_goes_also_when_its_service_went_first(server: Server) -> None:
    server.ok("POST", "/v1/data-sources", {"name": "w18", "driver": "fake", "config": {"things": {"a": "A"}}})
    texts = rules("p(x) :- w18:fake_table(id=x)", 'p("always")')
    made = server.ok("POST", "/v1/policies", {"name": "w18p", "rules": texts})
    server.until("/v1/policies/w18p/tables/p/rows", [["a"], ["always"]])
    server.ok("DELETE", "/v1/data-sources/w18")
    server.ok("DELETE", f"/v1/policies/w18p/rules/{made['rules'][0]['id']}")
    server.ok("POST", "/v1/data-sources", {"name": "w18", "driver": "fake", "config": {"things": {"b": "B"}}})
    soon(lambda: things(server, "w18"))
    assert rows(server, "policies/w18p/tables/p") == [["always"]]
    refused(server, "GET", "/v1/policies/w18p/tables/w18:fake_table", None, 404)


def test_w19_what_nobody_reads_is_not_kept(server: Server) -> None:
    things = {f"t{number}": "x" for number in range(500)}
    server.ok("POST", "/v1/data-sources", {"name": "w19", "driver": "fake", "config": {"things": things}})
    made = server.ok("POST", "/v1/policies", {"name": "w19p", "rules": rules("p(x) :- w19:fake_table(id=x)")})
    soon(lambda: len(rows(server, "policies/w19/tables/fake_table")) == 500)  # the engine's own copy
    server.ok("DELETE", f"/v1/policies/w19p/rules/{made['rules'][0]['id']}")
    soon(lambda: server.request("GET", "/v1/policies/w19/tables/fake_table/rows")[0] == 404)


def test_w20_peers_that_fell_silent_are_gone() -> None:
    known = Directory("me.1", 1.0, 5.0, 0.0)
    known.hear(Presence("gone.1", 1, {"nova": "i1"}, {}, False, False), 1.0)
    assert known.find("nova") is not None
    known.hear(Presence("me.1", 8, {}, {}, False, False), 4.0)
    known.hear(Presence("me.1", 9, {}, {}, False, False), 6.1)
    assert known.expire() == (["gone.1"], [Left("nova", "i1", "gone.1")])
    assert known.find("nova") is None


def test_w21_nothing_is_traced_that_nobody_asked_for(server: Server) -> None:
    server.ok("POST", "/v1/policies", {"name": "w21", "rules": rules("p(1)", "q(x) :- p(x)")})
    assert "trace" not in server.ok("GET", "/v1/policies/w21/tables/q/rows")
    assert "q(1)" in server.ok("GET", "/v1/policies/w21/tables/q/rows?trace=true")["trace"]
    # The engine has nothing to log with, so it makes no text for a log.
    sources = [path.read_text(encoding="utf-8") for path in Path(datalog.__path__[0]).glob("*.py")]
    assert sources
    assert not [text for text in sources if "import logging" in text]


def test_w22_what_is_wrong_is_told_where_one_looks(server: Server) -> None:
    config = {"username": "u", "password": "p", "auth_url": "http://127.0.0.1:1/v3", "project_name": "x"}
    server.ok("POST", "/v1/data-sources", {"name": "w22", "driver": "nova", "config": {**config, "poll_time": 0.5}})
    texts = rules("p(x) :- w22:servers(id=x)", "q(x) :- nobody_w22:t(id=x)")
    made = server.ok("POST", "/v1/policies", {"name": "w22p", "rules": texts})
    waiting = server.ok("GET", f"/v1/policies/w22p/rules/{made['rules'][1]['id']}/status")
    assert waiting["state"] == "waiting"
    assert "nobody_w22" in waiting["diagnostics"][0]["message"]
    assert server.ok("GET", "/v1/policies/w22p/status")["rules"]["waiting"] >= 1
    soon(lambda: server.ok("GET", "/v1/data-sources/w22/status")["last_error"] != "None")
    soon(lambda: [row for row in rows(server, "data-sources/congress/tables/freshness") if row[0] == "w22" and row[4]])
    server.ok("DELETE", "/v1/data-sources/w22")


def test_w23_a_secret_that_may_be_left_out_may_be_left_out(server: Server) -> None:
    made = server.ok("POST", "/v1/data-sources", {"name": "w23", "driver": "fake", "config": {"username": "u"}})
    assert made["config"] == {"username": "u"}
    server.ok("POST", "/v1/data-sources", {"name": "w23b", "driver": "fake", "config": {"password": None}})


def test_w24_policies_of_the_library_find_the_offenders_and_not_the_others(server: Server) -> None:
    images = {"glancev2": {"images": ["id", "name"], "tags": ["image_id", "tag"]}}
    cloud = {"nova": {"servers": ["id", "name", "image_id", "status"]}, **images}
    for name, tables in cloud.items():
        server.ok("POST", "/v1/data-sources", {"name": name, "driver": "push", "config": {"tables": tables}})
    server.ok("POST", "/v1/policies?library_policy=DisallowedServerImages")
    pushed = {
        "nova/tables/servers": [["s1", "a", "good", "ACTIVE"], ["s2", "b", "bad", "ACTIVE"]],
        "glancev2/tables/images": [["good", "cirros"], ["bad", "other"]],
        "glancev2/tables/tags": [],
    }
    for path, given in pushed.items():
        server.ok("PUT", f"/v1/data-sources/{path}/rows", given)
    server.until("/v1/policies/DisallowedServerImages/tables/error/rows", [["s2", "b", "bad", "other"]])
    assert rows(server, "policies/DisallowedServerImages/tables/warning") == []
    server.ok("DELETE", "/v1/policies/DisallowedServerImages")
    for name in cloud:
        server.ok("DELETE", f"/v1/data-sources/{name}")


def test_w25_what_is_too_old_shows_as_such_to_policies(server: Server) -> None:
    config = {"max_age": 0.2, "tables": {"alarms": {"columns": ["id", "state"], "key": ["id"]}}}
    server.ok("POST", "/v1/data-sources", {"name": "w25", "driver": "push", "config": config})
    rule = 'old(t) :- congress:freshness(service="w25", table=t, stale=true)'
    server.ok("POST", "/v1/policies", {"name": "w25p", "rules": rules(rule)})
    server.ok("POST", "/v1/data-sources/w25/tables/alarms/webhook", {"id": "a", "state": "up"})
    server.until("/v1/policies/w25p/tables/old/rows", [["alarms"]])


def test_w26_tables_that_were_read_together_change_together() -> None:
    world = World("w26")
    try:
        world.runtime()
        cloud = world.cloud()
        cloud.show(servers=[], ports=[])
        world.policy("w26", "portless(s) :- nova:servers(id=s), not nova:ports(server=s)")
        world.settle(cloud)
        watcher = world.watcher().subscribed("policy", "w26:portless")
        for number in range(50):
            cloud.show(servers=[(f"s{number}", "ann")], ports=[(f"s{number}", "net")])
        cloud.show(servers=[("alone", "ann")], ports=[])
        soon(lambda: watcher.rows("policy", "w26:portless") == {("alone",)})
        seen = {row for update in watcher.updates for row in update.insertions}
        assert seen == {("alone",)}
    finally:
        world.close()


def test_w27_what_the_documents_promised_holds(server: Server) -> None:
    made = server.ok("POST", "/v1/policies?library_policy=UnsafeTraffic")  # by name, with an empty body
    assert made["name"] == "UnsafeTraffic"
    server.ok("DELETE", "/v1/policies/UnsafeTraffic")
    off = server.ok("POST", "/v1/data-sources", {"name": "w27", "driver": "fake", "enabled": False})
    assert off["enabled"] is False
    assert server.ok("GET", "/v1/data-sources/w27/status")["initialized"] == "False"
    actions = rules('action("tag")', 'w27p:tagged+(x, y) :- tag(x), options:value("colour", y)')
    server.ok("POST", "/v1/policies", {"name": "w27a", "kind": "action", "rules": actions})
    server.ok("POST", "/v1/policies", {"name": "w27p", "rules": rules('tagged("old", "blue")')})
    body = {"query": "tagged(x, y)", "sequence": 'tag("nut"), options:value("colour", "red")', "action_policy": "w27a"}
    found: Mapping[str, Any] = server.ok("POST", "/v1/policies/w27p?action=simulate&delta=true", body)
    assert found["result"] == ['tagged+("nut", "red")']


def test_the_server_still_answers(server: Server) -> None:
    connection: http.client.HTTPConnection = server.connect()
    connection.request("GET", "/health/ready")
    assert connection.getresponse().status == 200
    connection.close()

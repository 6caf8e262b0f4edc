# SPDX-License-Identifier: Apache-2.0
"""What the OpenStack drivers share: tables as in the reference, logging in, and polls that go wrong."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from keystoneauth1 import exceptions as ksa

from congress.cloudservices.errors import ConfigError, PollError
from congress.cloudservices.glance import GlanceDriver
from congress.cloudservices.keystone import KeystoneDriver
from congress.cloudservices.neutron import NeutronDriver
from congress.cloudservices.nova import NovaDriver
from congress.cloudservices.openstack import next_marker
from congress.cloudservices.openstack_driver import OpenStackDriver
from congress.cloudservices.openstack_errors import trouble
from tests.cloudservices.fake_openstack import PASSWORD, FakeCloud, fake_cloud
from tests.cloudservices.running import running

REFERENCE = yaml.safe_load((Path(__file__).parent / "cases" / "reference_tables.yaml").read_text())
DRIVERS: dict[str, type[OpenStackDriver]] = {
    "nova": NovaDriver,
    "neutron": NeutronDriver,
    "keystone": KeystoneDriver,
    "glance": GlanceDriver,
}


@pytest.fixture
def cloud() -> Iterator[FakeCloud]:
    with fake_cloud() as cloud:
        yield cloud


@pytest.mark.parametrize("driver", DRIVERS)
def test_tables_and_columns_are_the_references(driver: str) -> None:
    tables = DRIVERS[driver].TABLES
    assert {table: list(schema.names) for table, schema in tables.items()} == REFERENCE[driver]


# Their one column beside the key is what the table is about.
ONE_COLUMN = ("tags", "dns_nameservers", "security_group_port_bindings")


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_table_and_column_is_described(driver: str) -> None:
    for table, schema in DRIVERS[driver].TABLES.items():
        assert schema.description, table
        for column in schema.columns:
            assert column.description or table in ONE_COLUMN, (table, column)


# Logging in ---------------------------------------------------------------------------------------------

INCOMPLETE: list[tuple[dict[str, Any], str]] = [
    ({}, "auth_url"),
    ({"auth_url": "http://k/v3"}, "username"),
    ({"auth_url": "http://k/v3", "username": "u"}, "password"),
    ({"auth_url": "http://k/v3", "username": "u", "password": "p"}, "project_name"),
    ({"auth_url": "http://k/v3", "application_credential_id": "a"}, "application_credential_secret"),
    (
        {"auth_url": "http://k/v3", "application_credential_name": "a", "application_credential_secret": "s"},
        "username",
    ),
    ({"cloud": "c", "interface": "secret"}, "interface"),
    ({"cloud": "c", "api_version": "3.1"}, "api_version"),
    ({"cloud": "c", "auth_url": "ftp://k"}, "auth_url"),
]


@pytest.mark.parametrize(("config", "option"), INCOMPLETE)
def test_a_login_that_is_not_complete(config: dict[str, Any], option: str) -> None:
    with pytest.raises(ConfigError) as caught:
        NovaDriver("nova", config)
    assert caught.value.option == option


def test_the_older_name_of_the_project(cloud: FakeCloud) -> None:
    config = cloud.config()
    config["tenant_name"] = config.pop("project_name")
    with running(KeystoneDriver("keystone", config)) as keystone:
        assert keystone.rows("users") == set()
    login = cloud.asked("POST", "/auth/tokens")[0].body["auth"]
    assert login["scope"]["project"] == {"name": "admin", "domain": {"name": "Default"}}


def test_an_application_credential(cloud: FakeCloud) -> None:
    config = {
        "auth_url": f"{cloud.url}/identity/v3",
        "application_credential_id": "abc",
        "application_credential_secret": PASSWORD,
    }
    with running(KeystoneDriver("keystone", config)) as keystone:
        assert keystone.rows("users") == set()
    assert cloud.asked("POST", "/auth/tokens")[0].body["auth"]["identity"]["methods"] == ["application_credential"]


@pytest.fixture
def clouds_yaml(cloud: FakeCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = cloud.config()
    auth = {name: config[name] for name in ("auth_url", "username", "password", "project_name")}
    auth |= {"user_domain_name": "Default", "project_domain_name": "Default"}
    file = tmp_path / "clouds.yaml"
    file.write_text(yaml.safe_dump({"clouds": {"mine": {"auth": auth, "region_name": "One"}}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
    return file


@pytest.mark.usefixtures("clouds_yaml")
def test_a_cloud_of_clouds_yaml(cloud: FakeCloud) -> None:
    with running(NeutronDriver("neutron", {"cloud": "mine"})) as neutron:
        assert neutron.rows("networks") == set()
    assert cloud.asked("GET", "/network/v2.0/networks")


@pytest.mark.usefixtures("clouds_yaml")
def test_a_cloud_that_is_not_there() -> None:
    with running(NeutronDriver("neutron", {"cloud": "yours"})) as neutron:
        status = neutron.status()
    assert status["state"] == "error"
    assert "yours" in status["error"]


def test_region_and_interface(cloud: FakeCloud) -> None:
    with (
        running(KeystoneDriver("keystone", cloud.config(region="Two"))) as keystone,
        pytest.raises(PollError, match="Two"),
    ):
        keystone.rows("users")
    with running(KeystoneDriver("keystone", cloud.config(region="One", interface="internal"))) as keystone:
        assert keystone.rows("users") == set()
    with (
        running(KeystoneDriver("keystone", cloud.config(interface="admin"))) as keystone,
        pytest.raises(PollError, match="admin"),
    ):
        keystone.rows("users")


def test_an_endpoint_of_its_own(cloud: FakeCloud) -> None:
    with fake_cloud() as other:
        other.tokens = cloud.tokens
        other.state.identity["users"]["u"] = {"id": "u", "name": "n", "enabled": True, "domain_id": "d"}
        config = cloud.config(endpoint=f"{other.url}/identity/v3")
        with running(KeystoneDriver("keystone", config)) as keystone:
            assert {row[0] for row in keystone.rows("users")} == {"u"}


def test_a_wrong_password_is_told_without_it(cloud: FakeCloud, caplog: pytest.LogCaptureFixture) -> None:
    with running(KeystoneDriver("keystone", cloud.config(password="wrong horse"))) as keystone:
        with pytest.raises(PollError, match="requires authentication") as caught:
            keystone.rows("users")
        status = keystone.status()
    assert "401" in status["last_error"]
    assert "wrong horse" not in str(status) + caplog.text + str(caught.value)


# Polls that go wrong ------------------------------------------------------------------------------------

TROUBLES = [
    (503, {}, "HTTP 503: out of order", 0.0),
    (500, {}, "HTTP 500: out of order", 0.0),
    (403, {}, "HTTP 403: out of order", 0.0),
    (429, {"Retry-After": "30"}, "HTTP 429: out of order", 30.0),
    (503, {"Retry-After": "20"}, "HTTP 503: out of order", 20.0),
]


@pytest.mark.parametrize(("status", "headers", "text", "wait"), TROUBLES)
def test_old_rows_stay_and_are_stale(
    status: int, headers: dict[str, str], text: str, wait: float, cloud: FakeCloud
) -> None:
    cloud.state.identity["roles"]["r"] = {"id": "r", "name": "member"}
    with running(KeystoneDriver("keystone", cloud.config(poll_time=0))) as keystone:
        assert keystone.rows("roles") == {("r", "member")}
        cloud.fault("/roles", status, headers=headers)
        after = keystone.poll()
        assert after["tables"]["roles"]["stale"]
        assert text in after["tables"]["roles"]["error"]
        assert set(keystone.driver.table_rows("roles")) == {("r", "member")}
        allowed = keystone.driver.schedule.allowed(time.monotonic(), 0.0)
        assert wait - 5 < allowed <= wait + 5
        assert not keystone.poll()["tables"]["roles"]["stale"]


def test_a_slow_answer_ends_the_poll(cloud: FakeCloud) -> None:
    with running(KeystoneDriver("keystone", cloud.config(poll_time=0, request_timeout=0.3))) as keystone:
        keystone.rows("roles")
        cloud.fault("/roles", delay=1.5)
        began = time.monotonic()
        status = keystone.poll()
        assert time.monotonic() - began < 1.2
        assert "timed out" in status["last_error"]


def test_the_time_of_a_poll_bounds_its_requests(cloud: FakeCloud) -> None:
    with running(KeystoneDriver("keystone", cloud.config(poll_time=0, poll_timeout=0.5))) as keystone:
        for table in ("roles", "users", "projects", "domains"):
            keystone.rows(table)
        cloud.fault("/identity/v3/", delay=0.4, times=4)
        began = time.monotonic()
        status = keystone.poll()
        assert time.monotonic() - began < 1.0
        assert status["failed_polls_in_a_row"] == 1


def test_a_token_that_ran_out_is_renewed(cloud: FakeCloud) -> None:
    with running(KeystoneDriver("keystone", cloud.config(poll_time=0))) as keystone:
        keystone.rows("roles")
        cloud.expire_tokens()
        assert not keystone.poll()["tables"]["roles"]["stale"]
    assert cloud.logins == 2


def test_a_cut_list_is_no_list(cloud: FakeCloud) -> None:
    cloud.truncate.add("users")
    with (
        running(KeystoneDriver("keystone", cloud.config(poll_time=0))) as keystone,
        pytest.raises(PollError, match="list_limit"),
    ):
        keystone.rows("users")


def test_connections_are_closed(cloud: FakeCloud) -> None:
    """The warnings filter makes an error of each socket that is left open."""
    with running(NovaDriver("nova", cloud.config())) as nova:
        nova.rows("flavors")
        session = nova.driver.api.session  # type: ignore[attr-defined]  # an OpenStack driver's
    assert session._session is None


# Pages --------------------------------------------------------------------------------------------------

LINKS: list[tuple[dict[str, Any], str | None]] = [
    ({}, None),
    ({"things_links": [{"rel": "previous", "href": "http://h/things?marker=a"}]}, None),
    ({"things_links": [{"rel": "next", "href": "http://h/things?limit=2&marker=b"}]}, "b"),
    ({"links": {"next": None, "self": "http://h/things"}}, None),
    ({"links": {"next": "http://h/things?marker=c%2Fd"}}, "c/d"),
    ({"next": "/v2/things?marker=e&limit=1"}, "e"),
    ({"next": "/v2/things?limit=1"}, None),
]


@pytest.mark.parametrize(("answer", "marker"), LINKS)
def test_next_marker(answer: dict[str, Any], marker: str | None) -> None:
    assert next_marker(answer, "things") == marker


def test_a_list_that_goes_round_in_circles(cloud: FakeCloud) -> None:
    for n in range(4):
        cloud.state.network["networks"][f"n{n}"] = {"id": f"n{n}", "name": "", "tenant_id": "t"}
    cloud.page_limit = 2
    cloud.sticky = True
    with (
        running(NeutronDriver("neutron", cloud.config(poll_time=0))) as neutron,
        pytest.raises(PollError, match="round in circles"),
    ):
        neutron.rows("networks")


# The services' own words --------------------------------------------------------------------------------

WORDS: list[tuple[str, str]] = [
    ('{"conflictingRequest": {"code": 409, "message": "Instance is locked"}}', "Instance is locked"),
    ('{"NeutronError": {"type": "NetworkInUse", "message": "in use", "detail": ""}}', "in use"),
    ('{"error": {"code": 401, "message": "log in first", "title": "Unauthorized"}}', "log in first"),
    ('{"errors": [{"status": 404, "detail": "no such thing"}]}', "no such thing"),
    (
        "<html>\n <head>\n  <title>403 Forbidden</title>\n </head>\n <body>\n  <h1>403 Forbidden</h1>\n"
        "  Image i1 is protected &amp; cannot be deleted.<br /><br />\n\n </body>\n</html>",
        "Image i1 is protected & cannot be deleted.",
    ),
    ("upstream connect error", "upstream connect error"),
    ("[1, 2]", "Bad Gateway"),
    ("", "Bad Gateway"),
]


@pytest.mark.parametrize(("body", "words"), WORDS)
def test_the_services_own_words(body: str, words: str) -> None:
    response = requests.Response()
    response.status_code, response.reason, response._content = 502, "Bad Gateway", body.encode()
    response.headers["Content-Type"] = "text/plain"
    found = trouble(ksa.http.from_response(response, "GET", "http://h/"))
    assert found is not None
    assert words in found.message


@pytest.mark.parametrize("body", ["<" * 10_000, "<head" * 2_000, "<h1>" * 2_500, "<a " * 5_000])
def test_a_page_of_any_kind_is_read_at_once(body: str) -> None:
    response = requests.Response()
    response.status_code, response._content = 502, body.encode()
    began = time.monotonic()
    trouble(ksa.http.from_response(response, "GET", "http://h/"))
    assert time.monotonic() - began < 0.5

# SPDX-License-Identifier: Apache-2.0
"""A cloud asked by plain HTTP: the independent witness of what the drivers say and do."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

Json = dict[str, Any]


def clouds_file() -> Path | None:
    """The clouds.yaml of a real cloud to test with."""
    named = os.environ.get("CONGRESS_TEST_CLOUDS") or os.environ.get("OS_CLIENT_CONFIG_FILE")
    return Path(named) if named else None


def cloud_name() -> str:
    return os.environ.get("CONGRESS_TEST_CLOUD", "lab-admin")


class Raw:
    """A login and the requests made with it."""

    def __init__(self, file: Path, cloud: str) -> None:
        self.file, self.cloud = file, cloud
        settings = yaml.safe_load(file.read_text())["clouds"][cloud]
        auth = settings["auth"]
        self.auth_url = auth["auth_url"].rstrip("/")
        self.http = requests.Session()
        user = {
            "name": auth["username"],
            "password": auth["password"],
            "domain": {"name": auth.get("user_domain_name", "Default")},
        }
        project = {"name": auth["project_name"], "domain": {"name": auth.get("project_domain_name", "Default")}}
        body = {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": project},
            }
        }
        answer = self.http.post(f"{self.auth_url}/auth/tokens", json=body, timeout=60)
        answer.raise_for_status()
        token = answer.json()["token"]
        self.project_id, self.user_id = token["project"]["id"], token["user"]["id"]
        self.http.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
        self.urls = {
            service["type"]: endpoint["url"].rstrip("/")
            for service in token["catalog"]
            for endpoint in service["endpoints"]
            if endpoint["interface"] == "public"
        }
        self.urls["identity"] = self.auth_url
        self.urls["network"] = self.urls["network"].removesuffix("/v2.0") + "/v2.0"
        self.urls["image"] = self.urls["image"].removesuffix("/v2") + "/v2"

    def ask(self, method: str, service: str, path: str, body: Any = None, version: str = "", **more: Any) -> Any:
        headers = {"OpenStack-API-Version": f"compute {version}"} if version else {}
        headers |= more.pop("headers", {})
        answer = self.http.request(method, self.urls[service] + path, json=body, headers=headers, timeout=120, **more)
        assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content and "json" in answer.headers.get("Content-Type", "") else None

    def get(self, service: str, path: str, key: str = "", version: str = "") -> Any:
        found = self.ask("GET", service, path, version=version)
        return found[key] if key else found

    def status(self, service: str, path: str) -> int:
        """The status of a GET, whatever it is."""
        return self.http.get(self.urls[service] + path, timeout=120).status_code

    def try_put(self, service: str, path: str, body: Any, version: str) -> bool:
        """A PUT that may be refused; whether it was not."""
        headers = {"OpenStack-API-Version": f"compute {version}"}
        return self.http.put(self.urls[service] + path, json=body, headers=headers, timeout=120).ok

    def close(self) -> None:
        self.http.close()


class Hypervisors:
    """What the lab's hypervisors were told; nothing, where the cloud is not the lab."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.files = sorted((state / "nova").glob("hypervisor-*.jsonl"))
        self.start = {file: file.stat().st_size for file in self.files}

    @property
    def known(self) -> bool:
        return bool(self.files)

    def calls(self, server: str, since: float = 0.0) -> list[Json]:
        """The calls about a server, in order."""
        return sorted(
            (c for c in self._lines() if c["instance"] == server and c["t"] >= since), key=lambda c: float(c["t"])
        )

    @contextmanager
    def host_down(self, host: str) -> Iterator[None]:
        """A compute host's process is dead inside, and lives again afterwards.  Skips where that is not ours."""
        file = self.state / "run" / f"nova-compute-{host}.pid"
        if not file.exists():
            pytest.skip(f"the compute process of {host} is not ours to kill")
        process = Path("/proc") / file.read_text().split()[0]
        command = [part.decode() for part in (process / "cmdline").read_bytes().split(b"\0")[:-1]]
        variables = (process / "environ").read_bytes().split(b"\0")[:-1]
        environment = dict(entry.decode().split("=", 1) for entry in variables)
        os.kill(int(process.name), signal.SIGKILL)
        wait("compute dead", lambda: not process.exists() or "\nState:\tZ" in (process / "status").read_text())
        try:
            yield
        finally:
            with (self.state / "log" / f"nova-compute-{host}.log").open("a") as log:
                again = subprocess.Popen(
                    command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
                )
            # As the lab notes it: the number and the kernel's start time together name one process.
            birth = (Path("/proc") / str(again.pid) / "stat").read_text().rpartition(")")[2].split()[19]
            file.write_text(f"{again.pid} {birth}\n")
            again.returncode = 0  # it outlives us

    def servers(self) -> set[str]:
        """The servers that calls were about since the start."""
        return {call["instance"] for call in self._lines()}

    def _lines(self) -> Iterator[Json]:
        for file in self.files:
            with file.open() as lines:
                lines.seek(self.start[file])
                yield from (json.loads(line) for line in lines)


def wait(what: str, probe: Callable[[], Any], seconds: float = 90.0) -> Any:
    """Ask until the answer is true; the answer."""
    until = time.monotonic() + seconds
    while not (answer := probe()):
        assert time.monotonic() < until, f"in vain for {seconds:g} s: {what}"
        time.sleep(0.25)
    return answer

# SPDX-License-Identifier: Apache-2.0
"""A daemon's runtime is killed while clients change policies: what they were told is there when it is back."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from congress.datalog.engine import Engine
from congress.db.database import Database
from congress.db.policies import PolicyStore
from congress.db.rules import RuleStore
from congress.policy.policies import Policies

CLIENT = """
import itertools, sys
from cryptography.fernet import Fernet
from congress.bus.bus import Bus
from congress.db.crypt import Cipher
from congress.db.database import Database
from congress.db.migrate import upgrade
from congress.policy.hosting import host_policies

database = Database(sys.argv[1])
upgrade(database)
bus = Bus()
bus.start()
host_policies(bus, database, Cipher([Fernet.generate_key().decode()]))
for number in itertools.count(int(sys.argv[2]) * 1000):
    name = f"p{number}"
    bus.call("policy", "create_policy", name=name, rules=[{"rule": f"t({n})"} for n in range(4)])
    print(name, 4, flush=True)
    bus.call("policy", "create_rule", policy=name, rule="u(x) :- t(x)")
    print(name, 5, flush=True)
"""


def test_what_clients_were_told_survives(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.sqlite"
    told: dict[str, int] = {}
    for run in range(2):
        with subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", CLIENT, url, str(run)], stdout=subprocess.PIPE, text=True
        ) as client:
            assert client.stdout is not None
            lines = [client.stdout.readline() for _ in range(15)]
            time.sleep(0.03 * run)
            client.send_signal(signal.SIGKILL)
            lines += client.stdout.readlines()
        words = [line.split() for line in lines if line.endswith("\n")]
        assert len(words) >= 15
        told |= {name: int(rules) for name, rules in words}

    database = Database(url)
    policies = Policies(Engine(), PolicyStore(database), RuleStore(database))
    policies.load()
    found = {policy.record.name: len(policy.rules) for policy in policies.all()}
    assert told.keys() <= found.keys()
    assert all(found[name] >= rules for name, rules in told.items())
    assert len(found) <= len(told) + 2 + 2  # the two that are always there, and one unheard of per run
    assert set(found.values()) <= {0, 4, 5}  # never half of a policy's first rules
    assert all(not rule.refused for policy in policies.all() for rule in policy.rules.values())
    for name, rules in found.items():
        assert len(policies.engine.rows(f"{name}:u")) == (4 if rules == 5 else 0)
    database.close()

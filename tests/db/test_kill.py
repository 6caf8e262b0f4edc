# SPDX-License-Identifier: Apache-2.0
"""A process that writes without pause is killed; what it had been told was stored is there, nothing half."""

import random
import signal
import subprocess
import sys
import time

from congress.db.database import Database
from congress.db.policies import PolicyStore
from congress.db.rules import RuleStore

WRITER = """
import itertools, sys
from congress.db.database import Database
from congress.db.policies import PolicyRecord, PolicyStore
from congress.db.rules import RuleRecord, RuleStore

database = Database(sys.argv[1])
policies, rules = PolicyStore(database), RuleStore(database)
for number in itertools.count():
    policy = PolicyRecord(f"p{sys.argv[2]}_{number}")
    policies.create(policy, [RuleRecord(policy.id, f"p({n})") for n in range(5)])
    print("created", policy.id, flush=True)
    first = rules.all(policy.id)[0]
    rules.change(policy.id, [RuleRecord(policy.id, f"q({n})") for n in range(3)], [first.id])
    print("changed", policy.id, flush=True)
    if number % 3 == 0:
        policies.delete(policy.id)
        print("deleted", policy.id, flush=True)
"""

BEFORE = [f"p({n})" for n in range(5)]
AFTER = [*BEFORE[1:], *(f"q({n})" for n in range(3))]


def test_what_was_acknowledged_survives(database: Database) -> None:
    policies, rules = PolicyStore(database), RuleStore(database)
    url = database.engine.url.render_as_string(hide_password=False)
    chance = random.Random(7)
    told: dict[str, str] = {}  # the last that was acknowledged of each policy
    in_flight: dict[str, str] = {}  # the policies at which the process was killed
    for run in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, url, str(run)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline() for _ in range(20)]  # it has got going
            time.sleep(chance.uniform(0, 0.1))
            writer.send_signal(signal.SIGKILL)
            lines += writer.stdout.readlines()
        words = [line.split() for line in lines if line.endswith("\n")]
        told |= {policy_id: what for what, policy_id in words}
        last = words[-1][1]
        in_flight[last] = told.pop(last)

    present = {policy.id: [rule.rule for rule in rules.all(policy.id)] for policy in policies.all()}
    assert {p: rules for p, rules in present.items() if p in told} == {
        policy_id: AFTER for policy_id, what in told.items() if what == "changed"
    }
    assert set(told.values()) == {"changed", "deleted"}
    for policy_id, what in in_flight.items():
        later: dict[str, list[list[str] | None]] = {
            "created": [BEFORE, AFTER],
            "changed": [AFTER, None],
            "deleted": [None],
        }
        assert present.get(policy_id) in later[what]
    # One more may have been created without its acknowledgement getting out: whole, if at all.
    unheard = present.keys() - told.keys() - in_flight.keys()
    assert len(unheard) <= 3
    assert all(present[policy_id] == BEFORE for policy_id in unheard)
    assert {rule.policy_id for rule in rules.all()} <= present.keys()

# SPDX-License-Identifier: Apache-2.0
"""The program as a process: what it loads, colours, completion, Ctrl-C."""

import importlib.metadata
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from congress.client import Connection
from congress.cmd.cli import CongressApp
from tests.requirements import require_or_skip
from tests.server.daemon import Server

CONGRESS = (sys.executable, "-m", "congress.cmd.cli")
RED, GREEN = "\x1b[31m", "\x1b[32m"


def on_a_terminal(
    *words: str, until: str, environment: dict[str, str] | None = None, signal_at: str = ""
) -> tuple[str, int]:
    """Run it on a pseudo terminal until it ends, or has printed a text; what it printed, and its exit code."""
    ours, theirs = pty.openpty()
    # Tests that run in the background of a shell ignore Ctrl-C, and what they start inherits that.
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [*CONGRESS, *words],
        stdout=theirs,
        stderr=theirs,
        stdin=theirs,
        env={**os.environ, "TERM": "xterm", **(environment or {})},
    )
    signal.signal(signal.SIGINT, ignored)
    os.close(theirs)
    text, deadline = "", time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([ours], [], [], 0.2)[0]:
            continue
        try:
            data = os.read(ours, 65536)
        except OSError:
            break
        if not data:
            break
        text += data.decode()
        if signal_at and signal_at in text:
            process.send_signal(signal.SIGINT)
            signal_at = ""
    code = process.wait(30)
    os.close(ours)
    assert until in text, text
    return text.replace("\r\n", "\n"), code


def test_listing_policies_loads_neither_the_engine_nor_the_database(server: Server) -> None:
    text = (
        "import sys; from congress.cmd.cli import main; "
        f"assert main(['--endpoint', {server.url!r}, 'policy', 'list', '-f', 'value']) == 0; "
        "print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=60)
    assert "classification" in done.stdout
    heavy = (
        "sqlalchemy",
        "oslo_",
        "openstack.",
        "congress.policy",
        "congress.db",
        "congress.bus",
        "congress.api",
        "yaml",
    )
    loaded = done.stderr.split()
    assert "cliff.app" in loaded
    assert [name for name in loaded if name.startswith(heavy)] == []
    assert {name for name in loaded if name.startswith("congress.datalog")} <= {
        "congress.datalog",
        "congress.datalog.diagnostics",
    }


def test_colours_are_for_terminals_only(server: Server, cloud: Connection) -> None:
    cloud.policies.create("hues", rules=["p(1)"])
    words = ("--endpoint", server.url, "watch", "hues:p", "--count", "1")
    piped = subprocess.run([*CONGRESS, *words], capture_output=True, text=True, check=True, timeout=60)
    assert piped.stdout == "+ hues:p(1)\n"
    text, code = on_a_terminal(*words, until="hues:p(1)")
    assert (text, code) == (f"{GREEN}+ hues:p(1)\x1b[0m\n", 0)
    text, code = on_a_terminal(*words, until="hues:p(1)", environment={"NO_COLOR": "1"})
    assert text == "+ hues:p(1)\n"
    text, code = on_a_terminal("--endpoint", server.url, "policy", "show", "nix", until="next:")
    assert text.startswith(f"{RED}error:\x1b[0m there is no policy 'nix'")
    assert code == 5
    text, code = on_a_terminal(
        "--endpoint", server.url, "rule", "status", "hues", cloud.rules.list("hues").__next__().id, until="state"
    )
    assert f"{GREEN}active\x1b[0m" in text


def test_watching_shows_it_again_until_ctrl_c(server: Server) -> None:
    words = ("--endpoint", server.url, "policy", "list", "--watch", "--interval", "0.1")
    text, code = on_a_terminal(*words, until="\x1b[H\x1b[2J", signal_at="classification")
    assert code == 0
    assert "Traceback" not in text


def test_ctrl_c_ends_a_stream_in_order(server: Server, cloud: Connection) -> None:
    cloud.policies.create("ends", rules=["p(1)"])
    text, code = on_a_terminal("--endpoint", server.url, "watch", "ends:p", until="ends:p(1)", signal_at="ends:p(1)")
    assert code == 0
    assert "Traceback" not in text


def test_no_command_has_an_option_of_the_program() -> None:
    """The program takes its own options wherever they stand, so a command would never see them."""
    app = CongressApp()
    common = {option for action in app.parser._actions for option in action.option_strings} - {"-h", "--help"}
    for entry in importlib.metadata.entry_points(group="congress.cli"):
        own = entry.load()(app, None).get_parser(entry.name)
        taken = {option for action in own._actions for option in action.option_strings} & common
        assert not taken, entry.name


def test_every_command_is_found_under_its_name() -> None:
    manager = CongressApp().command_manager
    for entry in importlib.metadata.entry_points(group="congress.cli"):
        words = entry.name.replace("_", " ").split()
        found, name, rest = manager.find_command([*words, "x"])
        assert (found, name, rest) == (entry.load(), " ".join(words), ["x"])


BASH = """
_get_comp_words_by_ref() { cur="${COMP_WORDS[COMP_CWORD]}"; words=("${COMP_WORDS[@]}"); }
source SCRIPT
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _congress; echo "${COMPREPLY[@]}"; }
try congress poli
try congress policy cr
try congress policy create --lib
try congress why-n
"""
ZSH = """
compdef() { : }
source SCRIPT
compadd() { shift; print -r -- "$@" }
_files() { print files }
try() { local -a words=("$@"); local CURRENT=$#words PREFIX=$words[-1]; _congress }
try congress ''
try congress policy ''
try congress policy create --
try congress policy show ''
try congress why-not ''
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("completion")
    found = {}
    for shell in ("bash", "zsh"):
        command = [*CONGRESS, "complete", "--name", "congress", "--shell", shell]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        (folder / shell).write_text(done.stdout)
        found[shell] = str(folder / shell)
    return found


def test_bash_completes(script: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-c", BASH.replace("SCRIPT", script["bash"])], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == ["policy", "create", "--library", "why-not"]


def test_the_script_for_zsh_has_every_command(script: dict[str, str]) -> None:
    text = Path(script["zsh"]).read_text()
    assert text.startswith("#compdef congress\n")
    follow = dict(re.findall("^    '(.*)' '(.*)'$", text, re.MULTILINE))
    assert {"policy", "rule", "why", "why-not", "watch"} <= set(follow[""].split())
    for entry in importlib.metadata.entry_points(group="congress.cli"):
        words = entry.name.replace("_", " ").split()
        for at in range(len(words)):
            assert words[at] in follow[" ".join(words[:at])].split(), entry.name
        assert "--help" in follow[" ".join(words)].split(), entry.name


def test_zsh_completes(script: dict[str, str]) -> None:
    zsh = shutil.which("zsh")
    if zsh is None:
        require_or_skip("zsh", "there is no zsh on this machine")
    done = subprocess.run(
        [zsh, "-f", "-c", ZSH.replace("SCRIPT", script["zsh"])], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    first, policy, create, show, why_not = done.stdout.splitlines()
    assert {"policy", "why-not"} <= set(first.split())
    assert {"create", "show", "list"} <= set(policy.split())
    assert {"--library", "--rule"} <= set(create.split())
    assert (show, why_not) == ("files", "files")

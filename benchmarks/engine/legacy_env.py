# SPDX-License-Identifier: Apache-2.0
"""The environment in which OpenStack Congress 11.0.0 can run: its release, without the server's many dependencies."""

import os
import subprocess
import sys
import venv
from pathlib import Path

RELEASE = "openstack-congress==11.0.0"
# What its engine imports; the rest of what it declares is for its server.
NEEDS = (
    "six",
    "oslo.config",
    "oslo.log",
    "oslo.concurrency",
    "oslo.utils",
    "netaddr",
    "python-dateutil",
    "PuLP",
    "PyYAML",
    "pbr",
)


class Unavailable(Exception):
    """The environment cannot be made; the message says why."""


def python(install: bool = True) -> Path:
    """The interpreter of the environment, made now if it is missing (a minute, with a network).

    :raises Unavailable: when it is missing and cannot or must not be made.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "congress-bench" / f"openstack-congress-11.0.0-py{version}"
    done = folder / "complete"
    interpreter = folder / "bin" / "python"
    if done.exists():
        return interpreter
    if not install:
        raise Unavailable(f"{folder} is not there, and --no-install was given")
    print(f"Making an environment for {RELEASE} in {folder}", file=sys.stderr)
    venv.create(folder, with_pip=True, clear=True)
    for arguments in (["--no-deps", RELEASE], NEEDS):
        command = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            lines = result.stderr.strip().splitlines()
            raise Unavailable(f"pip install of {RELEASE} failed: {lines[-1] if lines else 'no message'}")
    done.touch()
    return interpreter

"""Environments: the lock and the conda file say the same; every import of the package is pinned."""

import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
LOCK = REPOSITORY / "envs" / "avpretext.lock"


def test_the_conda_environment_is_the_lock() -> None:
    command = [sys.executable, str(REPOSITORY / "envs" / "lock.py"), "--yaml"]
    generated = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (REPOSITORY / "envs" / "avpretext.yaml").read_text() == generated
    pins = yaml.safe_load(generated)["dependencies"][-1]["pip"]
    assert pins == [line for line in LOCK.read_text().splitlines() if not line.startswith("#")]


def test_every_dependency_of_the_package_is_pinned() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = {requirement.split(">")[0].split("=")[0].strip().lower() for requirement in wanted}
    pinned = {line.split("==")[0].lower() for line in LOCK.read_text().splitlines()}
    assert names <= pinned


def test_the_system_libraries_are_checked_without_any_package() -> None:
    command = [sys.executable, "-I", "-S", str(REPOSITORY / "envs" / "system_libraries.py")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0

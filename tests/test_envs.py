"""Environments: a lock has what is asked of it, on the lowest Python, and no more; the conda file says the same."""

import importlib.util
import runpy
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[1]
ENVS = REPOSITORY / "envs"


def load_lock() -> ModuleType:
    """Return `envs/lock.py`, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("envs_lock", ENVS / "lock.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def lock() -> ModuleType:
    return load_lock()


def pinned(lock: ModuleType, name: str) -> dict[str, str]:
    """Return {canonical name: version} of a lock."""
    pins = [pin.split("==") for pin in lock.pins((ENVS / f"{name}.lock").read_text())]
    return {canonicalize_name(package): version for package, version in pins}


def test_the_conda_environment_is_the_lock(lock: ModuleType) -> None:
    command = [sys.executable, str(ENVS / "lock.py"), "--yaml"]
    generated = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (ENVS / "avpretext.yaml").read_text() == generated
    pins = yaml.safe_load(generated)["dependencies"][-1]["pip"]
    of_a_run = [pin for name in ("avpretext", "phones") for pin in lock.pins((ENVS / f"{name}.lock").read_text())]
    assert sorted(pins) == sorted(of_a_run)


def test_each_lock_is_what_its_requirements_need_and_those_before_it_lack(lock: ModuleType) -> None:
    groups, python = lock.asked()
    everything = {name: number for lock_name in lock.LOCKS for name, number in pinned(lock, lock_name).items()}
    known = lock.installed(f"{name}=={version(name).split('+')[0]}" for name in everything)
    known = {name: {**entry, "version": everything[name]} for name, entry in known.items()}
    before: set[str] = set()
    for name in lock.LOCKS:
        needed, unmet = lock.closure(groups[name], known, python)
        assert not unmet, f"{name}: run python envs/lock.py"
        assert set(pinned(lock, name)) == needed - before, f"{name}: run python envs/lock.py"
        before |= needed


def test_no_pin_excludes_the_lowest_python_that_is_promised(lock: ModuleType) -> None:
    _, python = lock.asked()
    assert python == "3.11.0"
    pins = [pin for name in lock.LOCKS for pin in lock.pins((ENVS / f"{name}.lock").read_text())]
    known = lock.installed(pins)
    assert len(known) > 0.9 * len(pins), "the environment is not that of the locks: make test"
    assert [entry["name"] for entry in known.values() if not lock.allows(entry, python)] == []


def test_a_version_that_the_lowest_python_cannot_have_gives_way(
    lock: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    releases = [("3.0", ">=3.11.5"), ("2.0", ">=3.11.2"), ("1.0", ">=3.9")]

    def offered(_: object, constraints: list[str]) -> dict[str, dict[str, object]]:
        (constraint,) = [text.removeprefix("soup") for text in constraints if text.startswith("soup")]
        number, python = next(release for release in releases if SpecifierSet(constraint).contains(release[0]))
        return {"soup": {"name": "soup", "version": number, "requires_python": python, "requires_dist": None}}

    monkeypatch.setattr(lock, "offered", offered)
    assert lock.resolve(["soup>=0.5"], ["soup==3.0"], "3.11.0")["soup"]["version"] == "1.0"
    assert lock.resolve(["soup>=0.5"], ["soup==3.0"], "3.11.4")["soup"]["version"] == "2.0"
    assert lock.resolve(["soup>=0.5"], ["soup==3.0"], "3.12.0")["soup"]["version"] == "3.0"


def test_requirements_for_other_pythons_other_extras_and_cuda_are_not_pinned(lock: ModuleType) -> None:
    needs = ['a; python_full_version < "3.11.3"', 'b; python_version >= "3.12"', 'c; extra == "more"', "nvidia-x"]
    known = {name: {"version": "1", "requires_dist": None} for name in "abc"}
    known["top"] = {"version": "1", "requires_dist": needs}
    assert lock.closure(["top"], known, "3.11.0") == ({"top", "a"}, set())
    assert lock.closure(["top"], known, "3.11.3") == ({"top"}, set())
    assert lock.closure(["top[more]"], known, "3.12.0") == ({"top", "b", "c"}, set())
    assert lock.closure(["top>=2", "d"], known, "3.11.0") == (set(), {"top>=2", "d"})


LIBRARIES = str(ENVS / "system_libraries.py")


def test_the_system_libraries_are_checked_without_any_package() -> None:
    assert subprocess.run([sys.executable, "-I", "-S", LIBRARIES], capture_output=True, check=False).returncode == 0


def test_all_that_is_missing_is_one_command_and_nothing_is_installed_by_an_ordinary_user() -> None:
    """Debian without python3-venv, and without one library."""
    bare = f"""
import importlib.util, os, runpy, sys
importlib.util.find_spec = lambda name: None
os.geteuid = lambda: 1000
sys.argv = ["system_libraries.py", "--venv"]
import ctypes
ctypes.CDLL = lambda name: (_ for _ in ()).throw(OSError(name)) if name == "libEGL.so.1" else None
runpy.run_path({LIBRARIES!r}, run_name="__main__")
"""
    run = subprocess.run([sys.executable, "-c", bare], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    number = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert run.stdout.splitlines()[:2] == [
        "Missing on this machine: libEGL.so.1, Python's module ensurepip.",
        f"On Debian and Ubuntu:  sudo apt-get install libegl1 python{number}-venv",
    ]


def test_a_half_made_environment_is_made_again(tmp_path: Path) -> None:
    """Without Debian's python3-venv, `python3 -m venv` leaves one that has a Python and no pip."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / ".venv"], check=True)
    command = ["make", "--dry-run", f"VENV={tmp_path / '.venv'}", "environment"]
    said = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    (made,) = [line for line in said.splitlines() if "-m venv" in line]
    subprocess.run(["sh", "-c", made], cwd=REPOSITORY, check=True)
    assert subprocess.run([tmp_path / ".venv/bin/python", "-m", "pip", "--version"], check=False).returncode == 0


@pytest.fixture
def torch_index() -> dict[str, Any]:
    return runpy.run_path(str(ENVS / "torch_index.py"))


def test_the_build_of_torch_for_cpus_is_taken_where_there_is_no_gpu_and_its_index_answers(
    torch_index: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = torch_index["option"].__globals__
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    option = f"--extra-index-url {torch_index['INDEX']}"
    for gpu, answers, here, elsewhere in (
        (False, True, option, option),
        (True, True, "", option),
        (False, False, "", ""),
    ):
        told |= {"has_gpu": lambda gpu=gpu: gpu, "answers": lambda answers=answers: answers}
        assert (torch_index["option"](), torch_index["option"](cpu=True)) == (here, elsewhere)
    assert not torch_index["has_gpu"](tmp_path / "nvidia") or Path("/dev/dxg").exists()


def test_an_index_out_of_reach_is_seen(torch_index: dict[str, Any]) -> None:
    assert not torch_index["answers"]("no-such-host.invalid", 1.0)

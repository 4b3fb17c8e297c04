"""Environments: a lock has what is asked of it, on every platform, and no more; the conda file has the same."""

import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import install
import lock
import pytest
import torch_index
import wheels
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import sys_tags
from packaging.utils import canonicalize_name

from tests.closure import PROJECT, closure, installed

REPOSITORY = Path(__file__).resolve().parents[1]
ENVS = REPOSITORY / "envs"
LINUX = [target for target in wheels.TARGETS if target.system == "Linux"]
LOWEST = {**LINUX[0].environment, "python_full_version": "3.11.0"}
FIX = "run: make locks"


def pinned(name: str) -> dict[str, str]:
    """Return {canonical name: version} of a lock without markers."""
    pins = [pin.split("==") for pin in lock.pins((ENVS / f"{name}.lock").read_text())]
    return {canonicalize_name(package): version for package, version in pins}


def hashed(name: str) -> dict[str, tuple[Requirement, list[str]]]:
    """Return {canonical name: (pin, hashes)} of a lock with hashes."""
    text = (ENVS / f"{name}.lock").read_text().replace("\\\n", "")
    parted = [line.split("--hash=") for line in lock.pins(text)]
    return {Requirement(pin).name: (Requirement(pin), [one.strip() for one in found]) for pin, *found in parted}


def needed(pins: Iterable[tuple[Requirement, list[str]]], target: wheels.Target) -> dict[str, str]:
    """Return {name: version} of the pins that hold on a target."""
    return {pin.name: str(pin.specifier)[2:] for pin, _ in pins if target.needs(str(pin.marker or ""))}


def test_the_conda_environment_is_the_lock() -> None:
    command = [sys.executable, str(ENVS / "lock.py"), "--yaml"]
    generated = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (ENVS / "avpretext.yaml").read_text() == generated
    pins = yaml.safe_load(generated)["dependencies"][-1]["pip"]
    of_a_run = [pin for name in ("avpretext", "phones") for pin in lock.pins((ENVS / f"{name}.lock").read_text())]
    assert sorted(pins) == sorted(of_a_run)


def test_each_lock_is_what_its_requirements_need_and_those_before_it_lack() -> None:
    groups, _, _ = lock.asked()
    everything = {name: number for lock_name in lock.LOCKS for name, number in pinned(lock_name).items()}
    known = {name: {**entry, "version": everything.get(name)} for name, entry in installed().items()}
    before: set[str] = set()
    for name in lock.LOCKS:
        found, unmet = closure(groups[name], {one: known[one] for one in known if one in everything}, LOWEST)
        assert not unmet, FIX
        assert set(pinned(name)) == found - before, FIX
        before |= found


def test_no_pin_excludes_the_lowest_python_that_is_promised() -> None:
    python = lock.asked()[2]
    assert python == "3.11.0"
    pins = {name: number for lock_name in lock.LOCKS for name, number in pinned(lock_name).items()}
    known = {name: entry for name, entry in installed().items() if pins.get(name) == entry["version"]}
    assert len(known) > 0.9 * len(pins), "the environment is not that of the locks: make test"
    allowed = {name: SpecifierSet(entry.get("requires_python") or "") for name, entry in known.items()}
    assert [name for name, specifier in allowed.items() if not specifier.contains(python)] == []


def test_requirements_for_other_pythons_other_extras_and_cuda_are_not_needed() -> None:
    needs = ['a; python_full_version < "3.11.3"', 'b; python_version >= "3.12"', 'c; extra == "more"', "nvidia-x"]
    known = {name: {"version": "1", "requires_dist": None} for name in "abc"}
    known["top"] = {"version": "1", "requires_dist": needs}
    later = {"python_version": "3.12", "python_full_version": "3.12.0"}
    assert closure(["top"], known, LOWEST) == ({"top", "a"}, set())
    assert closure(["top"], known, {**LOWEST, "python_full_version": "3.11.3"}) == ({"top"}, set())
    assert closure(["top[more]"], known, {**LOWEST, **later}) == ({"top", "b", "c"}, set())
    assert closure(["top>=2", "d"], known, LOWEST) == (set(), {"top>=2", "d"})


@pytest.mark.parametrize("target", wheels.TARGETS, ids=str)
def test_the_lock_with_hashes_has_what_a_run_needs_on_each_platform(target: wheels.Target) -> None:
    pins = needed(hashed("hashed").values(), target)
    elsewhere = {name: {"version": version, "requires_dist": None} for name, version in pins.items()}
    known = elsewhere | {name: entry for name, entry in installed().items() if name in pins}
    known = {name: {**entry, "version": pins[name]} for name, entry in known.items()}
    found, unmet = closure(lock.asked()[0]["avpretext"], known, target.environment)
    assert not unmet, FIX
    assert set(pins) == found, FIX


def test_both_locks_of_a_run_pin_the_same_versions() -> None:
    assert needed(hashed("hashed").values(), LINUX[0]) == pinned("avpretext"), FIX
    assert all(lock.is_cuda(name) for name in hashed("hashed-cuda"))
    assert needed(hashed("hashed-cuda").values(), LINUX[0]).keys() > {"nvidia-cudnn-cu13", "triton"}
    assert not needed(hashed("hashed-cuda").values(), wheels.Target("Darwin", "arm64", "3.11"))


@pytest.mark.parametrize("name", lock.HASHED)
def test_each_pin_has_hashes_and_no_address(name: str) -> None:
    for pin, found in hashed(name).values():
        assert found, pin
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", one) for one in found), pin
        assert len(set(found)) == len(found)
    assert "//" not in (ENVS / f"{name}.lock").read_text()


ROWS = wheels.read_table()


def test_the_table_of_wheels_is_of_the_pinned_versions() -> None:
    everything = {name: number for lock_name in lock.LOCKS for name, number in pinned(lock_name).items()}
    versions = {row["package"]: row["version"] for row in ROWS}
    assert {name: everything[name] for name in versions if name in everything} == {
        name: number for name, number in versions.items() if name in everything
    }, FIX
    elsewhere = [row for row in ROWS if row["package"] not in everything]
    assert not [row for row in elsewhere if LINUX[0].needs(row["marker"])], FIX


@pytest.mark.parametrize("target", LINUX, ids=str)
def test_the_table_of_wheels_knows_which_extra_needs_what(target: wheels.Target) -> None:
    known = installed()
    table = {row["package"]: row for row in ROWS if target.needs(row["marker"]) and row["package"] in known}
    base = closure(["avpretext"], known, target.environment)[0]
    for extra in PROJECT["optional-dependencies"].keys() - lock.NOT_PINNED:
        of_extra = closure([f"avpretext[{extra}]"], known, target.environment)[0]
        told = {name for name, row in table.items() if {"base", extra} & set(row["needed_by"].split())}
        assert told == of_extra & table.keys(), FIX
    assert {name for name, row in table.items() if row["needed_by"] == "base"} == base & table.keys()


@pytest.mark.parametrize("python", wheels.PYTHONS)
def test_everything_has_a_wheel_on_linux_but_what_is_known(python: str) -> None:
    """A new pin that lacks a wheel for a Python or for aarch64 fails here: choose a version that has one."""
    lost = {"connection-pool"}  # pure Python
    lost |= {"pocketsphinx"} if python in ("3.12", "3.14") else set()
    lost |= {"immutables"} if python == "3.14" else set()  # has a form without a compiler
    for machine in ("x86_64", "aarch64"):
        assert wheels.lacking(wheels.Target("Linux", machine, python), ROWS).keys() == lost


def test_the_extra_all_leaves_out_the_phones_where_they_have_no_wheel() -> None:
    (marker,) = [Requirement(text).marker for text in PROJECT["optional-dependencies"]["all"] if "phones" in text]
    for target in LINUX:
        assert target.needs(str(marker)) == ("pocketsphinx" not in wheels.lacking(target, ROWS))


@pytest.mark.parametrize(
    ("tags", "takes"),
    [
        ("cp312-cp312-manylinux_2_28_x86_64", "x86_64 3.12"),
        ("cp311-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64", "x86_64 3.11, x86_64 3.12, x86_64 3.13, x86_64 3.14"),
        ("cp312-cp312-manylinux_2_39_x86_64", ""),
        ("cp313-cp313t-manylinux_2_28_x86_64", ""),
        ("cp312-cp312-musllinux_1_2_x86_64", ""),
        ("cp313-cp313-macosx_11_0_universal2", "arm64 3.13, x86_64 3.13"),
        ("cp313-cp313-macosx_26_0_arm64", ""),
        ("cp314-cp314-win_amd64", "AMD64 3.14"),
        ("py2-none-any", ""),
    ],
)
def test_tags_fit_the_targets_that_pip_takes_them_on(tags: str, takes: str) -> None:
    found = [f"{target.machine} {target.python}" for target in wheels.TARGETS if target.takes(tags)]
    assert ", ".join(found) == takes
    assert wheels.serves(tags) == bool(takes)


def test_the_tags_of_a_target_are_those_of_a_real_machine() -> None:
    target = wheels.Target(platform.system(), platform.machine(), f"{sys.version_info.major}.{sys.version_info.minor}")
    if target not in LINUX or int(platform.libc_ver()[1].split(".")[1]) < wheels.GLIBC:
        pytest.skip("not one of the targets")
    assert target.tags <= {*sys_tags()}
    assert all(LINUX[0].environment[name] for name in LINUX[0].environment)


def test_the_oldest_system_is_that_of_the_most_demanding_package() -> None:
    rows = [
        {"marker": "", "tags": "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64 cp311-cp311-macosx_12_0_arm64"},
        {"marker": "", "tags": "cp311-cp311-manylinux_2_28_x86_64 cp311-abi3-manylinux1_x86_64 py3-none-any"},
        {"marker": "", "tags": "cp311-cp311-manylinux_2_24_x86_64"},
        {"marker": "sys_platform == 'win32'", "tags": "cp311-cp311-manylinux_2_31_x86_64"},
    ]
    assert wheels.oldest_system(LINUX[0], rows) == 24
    assert wheels.oldest_system(wheels.Target("Darwin", "arm64", "3.11"), rows[:2]) == 12


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


@pytest.mark.parametrize(
    ("system", "cuda", "gpu", "answers", "words"),
    [
        ("linux", None, False, True, "PyTorch for CPUs"),
        ("linux", None, True, True, "PyTorch for GPUs"),
        ("linux", True, False, True, "PyTorch for GPUs"),
        ("linux", False, True, True, "PyTorch for CPUs"),
        ("linux", None, False, False, "download.pytorch.org does not answer"),
        ("darwin", None, False, True, "PyTorch as on PyPI"),
    ],
)
def test_the_build_of_torch_for_cpus_is_taken_where_there_is_no_gpu_and_its_index_answers(
    system: str, cuda: bool | None, gpu: bool, answers: bool, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(torch_index, "has_gpu", lambda: gpu)
    monkeypatch.setattr(torch_index, "answers", lambda: answers)
    option, told = torch_index.choice(cuda)
    assert option == (
        "--extra-index-url https://download.pytorch.org/whl/cpu" if told.startswith("PyTorch for CPUs") else ""
    )
    assert told.startswith(words)


def test_a_driver_is_a_gpu(tmp_path: Path) -> None:
    assert torch_index.has_gpu(tmp_path)
    assert not torch_index.has_gpu(tmp_path / "nvidia") or Path("/dev/dxg").exists()


def test_an_index_out_of_reach_is_seen() -> None:
    assert not torch_index.answers("no-such-host.invalid", 1.0)


OLD_PIP = """\
Collecting polars==2.1.0
  Downloading polars-2.1.0-py3-none-any.whl (765 kB)
Processing /opt/files/torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl (from -r envs/avpretext.lock (line 129))
Collecting connection-pool==0.0.3
  Using cached connection_pool-0.0.3.tar.gz (3.8 kB)
"""
NEW_PIP = """\
Collecting polars==2.1.0
  Downloading polars-2.1.0-py3-none-any.whl.metadata (10 kB)
Requirement already satisfied: numpy==2.4.6 in .venv/lib/python3.11/site-packages (2.4.6)
Downloading polars-2.1.0-py3-none-any.whl (765 kB)
Using cached connection_pool-0.0.3.tar.gz (3.8 kB)
Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (526.6 MB)
"""


@pytest.mark.parametrize(("output", "megabytes"), [(OLD_PIP, 0.765), (NEW_PIP, 527.365)], ids=["pip 23", "pip 25"])
def test_the_output_of_pip_tells_how_far_it_is(output: str, megabytes: float) -> None:
    progress = install.Progress()
    for line in output.splitlines(keepends=True):
        progress.read(line)
    assert progress.files == 3
    assert progress.downloaded_mb == pytest.approx(megabytes)
    assert not progress.is_installing
    progress.read("Installing collected packages: polars\n")
    assert progress.is_installing
    assert progress.fetched() == f"3 packages fetched, {megabytes:.0f} MB of them downloaded"


def test_an_installation_that_fails_prints_why_and_keeps_the_status_of_pip(tmp_path: Path) -> None:
    command = [sys.executable, str(ENVS / "install.py"), sys.executable, "--no-index", str(tmp_path / "absent.whl")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "absent.whl" in run.stderr
    assert run.stdout == ""


def test_an_installation_of_what_is_there_prints_one_line() -> None:
    command = [sys.executable, str(ENVS / "install.py"), sys.executable, "--no-index", "--dry-run", "numpy"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\d+:\d\d  0 packages installed\n", run.stdout)

"""Checks of the machine, with things made missing."""

import importlib.metadata
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from avpretext import checkout
from avpretext.doctor import hardware
from avpretext.programs import command


def test_this_environment_passes() -> None:
    for check in (hardware.python(), hardware.packages(), hardware.system_libraries(), hardware.workflow()):
        assert check.status == "ok", check
    assert hardware.voices(needed=True).status == "ok"
    assert f"snakemake {importlib.metadata.version('snakemake')}" in hardware.packages().found


def test_an_old_python_is_said_so() -> None:
    assert hardware.python((3, 10, 4)).status == "missing"
    assert hardware.python((3, 10, 4)).fix.endswith(" environment PYTHON=python3.11")


def test_a_package_that_is_not_there_and_one_of_another_version() -> None:
    def without(name: str) -> str:
        if name == "mediapipe":
            raise importlib.metadata.PackageNotFoundError(name)
        return importlib.metadata.version(name)

    check = hardware.packages(without)
    assert (check.status, check.found) == ("missing", "not installed: mediapipe")
    assert check.fix == checkout.install()
    check = hardware.packages(lambda name: "0.0.1" if name == "polars" else importlib.metadata.version(name))
    assert check.status == "warning"
    assert check.found.startswith("other than tested: polars 0.0.1 (pinned: ")
    assert "envs/avpretext.lock" in check.fix


def test_a_cpu_build_of_torch_is_the_pinned_version() -> None:
    pinned = hardware.packages(lambda name: importlib.metadata.version(name).partition("+")[0] + "+cpu")
    assert pinned.status == "ok"


def test_a_library_that_the_loader_does_not_find_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = checkout.system_libraries()
    lost = SimpleNamespace(missing=lambda: ["libEGL.so.1", "libGL.so.1"], PACKAGE_OF=known.PACKAGE_OF)
    monkeypatch.setattr(checkout, "system_libraries", lambda root: lost)
    monkeypatch.setattr(hardware.sys, "platform", "linux")
    check = hardware.system_libraries()
    assert (check.status, check.found) == ("missing", "libEGL.so.1, libGL.so.1")
    assert check.fix == "sudo apt-get install libegl1 libgl1"


def test_a_package_without_its_checkout_says_what_to_do(tmp_path: Path) -> None:
    assert hardware.system_libraries(tmp_path).status == "warning"
    assert hardware.workflow(tmp_path).found == f"{tmp_path}/workflow/Snakefile is not there"


@pytest.mark.parametrize(("free_gb", "status"), [(0.1, "missing"), (2.0, "warning"), (100.0, "ok")])
def test_a_disk_that_is_too_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_gb: float, status: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free_gb * hardware.GB))
    check = hardware.disk(tmp_path / "results" / "mine")  # neither is there yet
    assert check.status == status
    assert f"{free_gb:.1f} GB free at {tmp_path}" in check.found
    assert bool(check.fix) == (status != "ok")


def test_a_results_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    assert hardware.disk(tmp_path).found == f"{tmp_path} cannot be written to"
    (tmp_path / "file").touch()
    assert hardware.disk(tmp_path / "file").status == "missing"


def test_few_gigabytes_for_many_cores(tmp_path: Path) -> None:
    assert hardware.power(2, 16.0).status == "ok"
    check = hardware.power(16, 4.0)
    assert (check.status, check.fix) == ("warning", command("snakemake --cores 5"))
    assert hardware.power(4, None).found == "4 cores"


def test_the_memory_of_a_container_counts(tmp_path: Path) -> None:
    whole = hardware.memory_gb(tmp_path)
    assert whole is not None
    (tmp_path / "memory.max").write_text("max\n")
    assert hardware.memory_gb(tmp_path) == whole
    (tmp_path / "memory.max").write_text("50000000\n")
    assert hardware.memory_gb(tmp_path) == 0.05


def test_a_gpu_is_missing_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_driver", lambda: False)
    monkeypatch.setattr(hardware, "_ask_torch", None)  # without a driver torch is not asked
    check = hardware.gpu([])
    assert (check.status, check.needed) == ("missing", False)
    check = hardware.gpu(["pretrain.device"])
    assert (check.status, check.needed, check.fix) == ("missing", True, "set pretrain.device: cpu")
    monkeypatch.setattr(hardware, "_driver", lambda: True)
    monkeypatch.setattr(hardware, "_ask_torch", lambda: "False")
    check = hardware.gpu(["pretrain.device"])
    assert (check.status, check.fix) == ("missing", "install a CUDA build of torch")
    monkeypatch.setattr(hardware, "_ask_torch", lambda: "NVIDIA H100")
    check = hardware.gpu([])
    assert (check.status, check.found) == ("ok", "NVIDIA H100")


def test_slurm_is_found_by_its_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    check = hardware.slurm()
    assert (check.status, check.needed) == ("missing", False)
    program = tmp_path / "sbatch"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert hardware.slurm().found == str(program)


def test_voices_that_are_gone_matter_to_the_demo_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import espeakng_loader

    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(tmp_path))
    assert hardware.voices(needed=True).status == "missing"
    assert hardware.voices(needed=False).needed is False
    assert hardware.voices(needed=True).fix.endswith("-m pip install --force-reinstall --no-deps espeakng-loader")

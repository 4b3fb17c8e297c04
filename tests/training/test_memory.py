"""Want of memory: the setting to change and the number are told, by the job itself or by the next one."""

import json
import os
import re
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avpretext.errors import MachineFault, UserError
from avpretext.training import mapped, memory, pretrain
from avpretext.training.memory import RUNNING, bounded, how_killed, kills, limit_mb
from avpretext.training.run_pool import grid_map

from .conftest import TinyCorpus, config

Fail = Callable[[int], Any]


def numpy_fails(_: int) -> Any:
    return np.empty((1 << 45,), "f8")


def torch_fails(_: int) -> Any:
    return torch.empty(1 << 50)


def gpu_fails(_: int) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def killed(_: int) -> Any:
    signal.raise_signal(signal.SIGKILL)


def page_is_lost(_: int) -> Any:
    """Read a mapped file whose pages are gone, as they are where a disk fails."""
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(1 << 16)
        found = mapped._mapped(file)
        file.truncate(0)
        return int(found.sum())


def stage(fail: Fail) -> Callable[..., None]:
    @bounded("pretrain", "pretrain")
    def run(config: Any, output: Path, threads: int) -> None:
        list(grid_map(fail, range(2), threads, torch.device("cpu")))

    return run


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("fail", [numpy_fails, torch_fails])
def test_memory_that_is_not_there_names_setting_and_number(fail: Fail, threads: int, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"^pretrain: memory ran out; give the job more: run the same command with --set-res"
    ) as told:
        stage(fail)(config(), tmp_path, threads)
    number = int(str(told.value).partition("pretrain:mem_mb=")[2].split(",")[0])
    assert number % 500 == 0
    assert number >= 500 * threads
    assert ("pretrain.threads: 2 (now 4)" in str(told.value)) == (threads == 4)
    assert not (tmp_path / RUNNING).exists()


def test_a_full_gpu_names_the_size_of_batches(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"GPU's memory is full; set pretrain\.batch_size: 4 \(now 8\)"):
        stage(gpu_fails)(config(), tmp_path, 1)


def test_a_run_that_the_system_kills_names_setting_and_number(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"was killed.*pretrain:mem_mb=\d+, or .* pretrain\.threads: 1 \(now 2\)"):
        stage(killed)(config(), tmp_path, 2)


LOST = r"cannot be read or written \(signal SIGBUS\); .*AVPRETEXT_SCRATCH .*run the same command again$"


def test_a_disk_that_fails_under_a_run_is_told_by_the_job(tmp_path: Path) -> None:
    with pytest.raises(MachineFault, match=rf"^{tmp_path}: .*{LOST}") as told:
        stage(page_is_lost)(config(), tmp_path, 2)
    assert "\n" not in str(told.value)


def test_a_disk_that_fails_under_the_job_itself_ends_it_with_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGBUS)
    job = os.fork()
    if not job:
        stage(page_is_lost)(config(), tmp_path, 1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]) == 1
    [line] = [line for line in capfd.readouterr().err.splitlines() if line.startswith("avpretext: error: ")]
    assert re.match(rf"avpretext: error: {tmp_path}: .*{LOST}", line)
    stage(lambda item: item)(config(), tmp_path, 1)
    assert signal.getsignal(signal.SIGBUS) == before


def test_other_errors_stay_as_they_are(tmp_path: Path) -> None:
    def fail(_: int) -> Any:
        raise ValueError("something else")

    with pytest.raises(ValueError, match="something else"):
        stage(fail)(config(), tmp_path, 1)


def test_after_a_kill_for_memory_the_next_job_tells_of_it(
    tiny: TinyCorpus, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / RUNNING).write_text(json.dumps(["this boot", "3"]))
    monkeypatch.setattr(memory, "kills", lambda: ["this boot", "4"])
    labels = {"tiny": {"energy": tiny.labels["energy"]}}
    pretrain.run(["energy"], {"tiny": {"speech": tiny.speech}}, {"tiny": tiny.index}, labels, config(), tmp_path, 1)
    assert "killed, probably for want of memory; give the job more: run" in capsys.readouterr().err
    assert not (tmp_path / RUNNING).exists()


def test_what_a_killed_job_leaves_tells_whether_it_was_for_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "kills", lambda: ["this boot", "3"])
    assert how_killed(tmp_path / RUNNING) is None
    for left, told in {
        '["this boot", "3"]': None,
        '["another", "3"]': ", perhaps for want of memory",
        "[": None,
    }.items():
        (tmp_path / RUNNING).write_text(left)
        assert how_killed(tmp_path / RUNNING) == told
    monkeypatch.undo()
    assert len(kills()) in (0, 2)


def test_the_limit_is_the_lowest_of_the_control_groups(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    (one / "slurm/job/step").mkdir(parents=True)
    (one / "slurm/job/memory.max").write_text(f"{4000 << 20}\n")
    (one / "slurm/job/step/memory.max").write_text("max\n")
    (tmp_path / "own").write_text("0::/slurm/job/step\n")
    assert limit_mb(one, tmp_path / "own") == 4000
    (two / "memory/slurm").mkdir(parents=True)
    (two / "memory/slurm/memory.limit_in_bytes").write_text(f"{500 << 20}\n")
    (two / "memory/memory.limit_in_bytes").write_text(f"{(1 << 63) - 4096}\n")
    (tmp_path / "own").write_text("5:cpu:/x\n4:memory:/slurm\n0::/\n")
    assert limit_mb(two, tmp_path / "own") == 500
    assert limit_mb(tmp_path, tmp_path / "nothing") is None

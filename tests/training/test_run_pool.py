"""The grid of runs: results in order whatever ends first, errors told, nothing left behind, nothing waited for."""

import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from avpretext import progress as telling
from avpretext.errors import UserError
from avpretext.training.run_pool import grid_map

from .conftest import processes

CPU = torch.device("cpu")


def run(function: Callable[[int], Any], count: int, threads: int) -> list[Any]:
    return list(grid_map(function, range(count), threads, CPU))


def sums(item: int) -> tuple[int, int, float]:
    torch.manual_seed(item)
    values = torch.randn(300, 300)
    return item, torch.get_num_threads(), float((values @ values).sum())


def test_results_are_in_order_and_the_same_for_any_number_of_threads() -> None:
    one, two, five = (run(sums, 5, threads) for threads in (1, 2, 5))
    assert one == two == five
    assert [item for item, _, _ in one] == [0, 1, 2, 3, 4]
    assert {threads for _, threads, _ in one} == {1}


def test_a_slow_first_run_holds_up_no_other(tmp_path: Path) -> None:
    """The first waits for the last to have ended; in two processes that can only be while it runs."""

    def work(item: int) -> int:
        begin = time.monotonic()
        while item == 0 and not (tmp_path / "3").exists():
            assert time.monotonic() - begin < 20
            time.sleep(0.005)
        (tmp_path / str(item)).touch()
        return item

    assert run(work, 4, 2) == [0, 1, 2, 3]


def test_no_more_processes_than_threads_and_none_is_left() -> None:
    def items() -> Iterator[int]:
        for item in range(6):
            assert len(multiprocessing.active_children()) < 2
            yield item

    results = grid_map(lambda _: os.getpid(), items(), 2, CPU)
    assert len({os.getpid(), *results}) == 7
    assert not multiprocessing.active_children()


def test_data_are_shared_and_what_a_run_changes_stays_its_own() -> None:
    data = torch.zeros(3)

    def add(item: int) -> float:
        data.add_(1)
        return float(data.sum()) + item

    assert run(add, 3, 2) == [3.0, 4.0, 5.0]
    assert not data.any()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_mistake_of_the_user_is_told_as_it_is(threads: int) -> None:
    def fail(item: int) -> int:
        if item == 1:
            raise UserError("all training clips have the value 3")
        return item

    with pytest.raises(UserError, match=r"^all training clips have the value 3$"):
        run(fail, 4, threads)
    assert not multiprocessing.active_children()


def test_any_other_error_names_the_run_and_carries_its_traceback() -> None:
    def fail(item: int) -> int:
        return 1 // item

    with pytest.raises(RuntimeError, match=r"0: ZeroDivisionError\(") as caught:
        run(fail, 2, 2)
    assert "return 1 // item" in str(caught.value.__cause__)


def test_a_result_that_cannot_be_sent_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"[01]: .*pickle"):
        run(lambda _: lambda: None, 2, 2)


@pytest.mark.parametrize(
    ("by", "says"), [(signal.SIGKILL, "2: .* memory .* fewer threads"), (signal.SIGTERM, "2: .*SIGTERM")]
)
def test_a_run_that_is_killed_ends_the_job_and_the_runs_beside_it(by: signal.Signals, says: str) -> None:
    def work(item: int) -> int:
        if item == 2:
            os.kill(os.getpid(), by)
        if item == 1:
            time.sleep(60)
        return item

    begin = time.monotonic()
    with pytest.raises(UserError, match=says):
        run(work, 4, 2)
    assert time.monotonic() - begin < 30
    assert not multiprocessing.active_children()


def test_results_that_nobody_reads_any_more_end_the_runs() -> None:
    results = grid_map(lambda item: time.sleep(60 * item), range(3), 2, CPU)
    assert next(results) is None
    assert multiprocessing.active_children()
    results.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()


def test_runs_in_processes_tell_how_far_all_of_them_are(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "LINE_EVERY_S", 0.0)

    def epochs(seed: int) -> Iterator[int]:
        for epoch in range(4):
            time.sleep(0.02)
            yield epoch

    def work(seed: int) -> int:
        if seed == 3:
            telling.note_done_before()
            return 0
        where = f"finetune: seed {seed}"
        return len(list(telling.progress(epochs(seed), total=4, unit="epochs", label=where, within=True)))

    runs = grid_map(work, range(4), 2, CPU)
    assert list(telling.progress(runs, total=4, unit="runs", label="finetune acted")) == [4, 4, 4, 0]
    lines = capfd.readouterr().err.splitlines()
    assert all(
        re.match(r"finetune acted: \d/4 runs, .*(left|done in .*)(; seed \d: [1-4]/4 epochs)?$", line) for line in lines
    )
    told = set(re.findall(r"; (seed \d): ", "\n".join(lines)))
    assert {"seed 0"} <= told <= {"seed 0", "seed 1", "seed 2"}


def sleep_in_runs(folder: Path) -> None:
    """Start two runs that leave their numbers in a folder and sleep."""

    def work(item: int) -> None:
        (folder / str(os.getpid())).touch()
        time.sleep(60)

    list(grid_map(work, range(4), 2, CPU))


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_runs_end_with_the_job_that_started_them(tmp_path: Path, by: signal.Signals) -> None:
    job = processes().Process(target=sleep_in_runs, args=(tmp_path,))
    job.start()
    wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
    assert job.pid is not None
    os.kill(job.pid, by)
    job.join(20)
    assert job.exitcode not in (None, 0)
    wait_until(lambda: not any(alive(int(path.name)) for path in tmp_path.iterdir()))


def alive(process: int) -> bool:
    """Return whether a process runs; one that has ended and whose end nobody has asked for does not."""
    try:
        return " Z " not in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False


def wait_until(holds: Callable[[], bool]) -> None:
    begin = time.monotonic()
    while not holds():
        assert time.monotonic() - begin < 30
        time.sleep(0.01)


def test_training_in_forks_after_training_in_this_process_does_not_wait_for_ever() -> None:
    def learn(item: int) -> float:
        torch.manual_seed(item)
        layer = torch.nn.LSTM(8, 8)
        layer(torch.randn(5, 64, 8))[0].sum().backward()
        return float(sum(weight.grad.sum() for weight in layer.parameters() if weight.grad is not None))

    torch.set_num_threads(2)
    learn(0)
    torch.randn(1000, 1000).exp().sum()
    assert run(learn, 2, 2) == run(learn, 2, 1)

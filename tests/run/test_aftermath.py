"""What a killed run leaves is removed; what a process may still write is not."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from avpretext import locks, shards
from avpretext.run import aftermath

HOLD = """
import sys, time
from pathlib import Path
from avpretext.run import aftermath
print(aftermath.tidy(Path(sys.argv[1]), Path(sys.argv[2])), flush=True)
time.sleep(60)
"""
WRITE = """
import sys, time
from avpretext import shards
with shards.atomic_path(sys.argv[1]) as temporary:
    temporary.write_bytes(b"half")
    print("writing", flush=True)
    sys.stdin.readline()
"""
NO_PROCESS = 2**22 + 1


def half_written(folder: Path, host: str, pid: int, age_s: float = 0) -> Path:
    """Make a file as a writer leaves it that is killed."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{shards.TEMPORARY[0]}{host}-{pid}-x1_2y{shards.TEMPORARY[1]}"
    path.write_bytes(b"PAR1")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def left_behind(folder: Path) -> tuple[Path, Path]:
    """Make Snakemake's marks and a half-written file; return the two folders."""
    records, results = folder / ".snakemake", folder / "results"
    (records / "locks").mkdir(parents=True, exist_ok=True)
    (records / "locks" / "0.input.lock").write_text("a\n")
    half_written(results / "a corpus", locks.host(), NO_PROCESS)
    (results / "a corpus" / "0000.parquet").write_bytes(b"whole")
    return records, results


def release() -> None:
    """Count as a run at work no longer, as at the end of a process."""
    while aftermath._held:
        aftermath._held.pop().close()


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()} - {"avpretext.lock"}


def test_marks_and_half_files_go_while_a_run_is_at_work_marks_stay_and_after_its_death_they_go(tmp_path: Path) -> None:
    records, results = left_behind(tmp_path)
    command = [sys.executable, "-c", HOLD, str(records), str(results)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as at_work:
        assert at_work.stdout is not None
        assert at_work.stdout.readline().strip() == "True"
        assert files(tmp_path) == {"0000.parquet"}
        left_behind(tmp_path)
        assert not aftermath.tidy(records, results)
        assert files(tmp_path) == {"0000.parquet", "0.input.lock"}
        at_work.kill()
    release()
    assert aftermath.tidy(records, results)
    assert files(tmp_path) == {"0000.parquet"}
    release()


def test_a_file_that_is_being_written_stays_until_its_writer_dies(tmp_path: Path) -> None:
    target = tmp_path / "results" / "mine" / "0000.parquet"
    command = [sys.executable, "-c", WRITE, str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        aftermath.tidy(tmp_path / ".snakemake", tmp_path / "results")
        assert len(files(target.parent)) == 1
        writer.communicate("go on\n")
    assert target.read_bytes() == b"half"
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        writer.kill()
    aftermath.tidy(tmp_path / ".snakemake", tmp_path / "results")
    assert files(target.parent) == {"0000.parquet"}
    release()


@pytest.mark.parametrize(
    ("host", "pid", "age_s", "abandoned"),
    [
        (locks.host(), NO_PROCESS, 0, True),
        (locks.host(), os.getpid(), 5, False),
        (locks.host(), os.getpid(), 3600, True),
        ("node7", NO_PROCESS, 3600, False),
        ("node7", NO_PROCESS, 2 * aftermath.ABANDONED_S, True),
    ],
    ids=["its process is dead", "just made, not locked yet", "its number is used again", "elsewhere", "elsewhere, old"],
)
def test_a_file_is_abandoned_if_its_writer_is_dead_for_certain(
    tmp_path: Path, host: str, pid: int, age_s: float, abandoned: bool
) -> None:
    assert aftermath.is_abandoned(half_written(tmp_path, host, pid, age_s)) == abandoned

"""What a killed run leaves is removed; what a run at work has is not."""

import subprocess
import sys
from pathlib import Path

from avpretext import aftermath, shards

HOLD = """
import sys, time
from pathlib import Path
from avpretext import aftermath
print(aftermath.tidy(Path(sys.argv[1]), Path(sys.argv[2])), flush=True)
time.sleep(60)
"""


def left_behind(folder: Path) -> tuple[Path, Path]:
    """Make Snakemake's marks and a half-written file; return the two folders."""
    records, results = folder / ".snakemake", folder / "results"
    (records / "locks").mkdir(parents=True, exist_ok=True)
    (records / "locks" / "0.input.lock").write_text("a\n")
    (results / "a corpus").mkdir(parents=True, exist_ok=True)
    (results / "a corpus" / "{}x1y2z3{}".format(*shards.TEMPORARY)).write_bytes(b"PAR1")
    (results / "a corpus" / "0000.parquet").write_bytes(b"whole")
    return records, results


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()} - {"avpretext.lock"}


def test_marks_and_half_files_go_while_a_run_is_at_work_they_stay_and_after_its_death_they_go(tmp_path: Path) -> None:
    records, results = left_behind(tmp_path)
    command = [sys.executable, "-c", HOLD, str(records), str(results)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as at_work:
        assert at_work.stdout is not None
        assert at_work.stdout.readline().strip() == "True"
        assert files(tmp_path) == {"0000.parquet"}
        left_behind(tmp_path)
        assert not aftermath.tidy(records, results)
        assert len(files(tmp_path)) == 3
        at_work.kill()
    aftermath.release()
    assert aftermath.tidy(records, results)
    assert files(tmp_path) == {"0000.parquet"}
    aftermath.release()

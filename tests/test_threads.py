"""Threads: a stage keeps no more processors busy than it declares."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .features.test_speech import RATE, noise, shard

AT_REST = ("jemalloc_bg_thd", "polars-")
"""Names of threads that sleep but to hand memory back: of Arrow's and polars' allocators, and polars' own."""

STARTED = 4
"""Beside those that are declared: Arrow's, for reading and for decoding, and polars'; they wait while others work."""


def threads_of(process: "subprocess.Popen[str]") -> Iterator[tuple[str, str, int]]:
    """Yield number, name and processor time, in ticks, of each thread."""
    folder = Path(f"/proc/{process.pid}/task")
    for number in os.listdir(folder):
        try:
            name, _, fields = (folder / number / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        yield number, name, sum(map(int, fields.split()[11:13]))


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc, which Linux has")
@pytest.mark.parametrize("stage", ["speech", "log_mel", "functionals"])
def test_one_thread_declared_is_one_thread_that_works(tmp_path: Path, stage: str) -> None:
    (tmp_path / "config.yaml").write_text(
        "corpora: {c: {path: ., use: [pretrain]}}\nspeech: {feature_set: eGeMAPSv02}\n"
    )
    audio = shard(tmp_path / "c/split/audio/0.parquet", {f"clip {n}": noise(20 * RATE, n) for n in range(6)})
    command = [sys.executable, "-m", "avpretext", stage, f"--audio={audio}", "--output=out.parquet", "--threads=1"]
    command += ["--rejects=rejects.parquet"] if stage == "speech" else []
    most, ticks = 0, dict[tuple[str, str], int]()
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            seen = [entry for entry in threads_of(process) if not entry[1].startswith(AT_REST)]
            most = max(most, len(seen))
            ticks |= {(number, name): used for number, name, used in seen}
            time.sleep(0.01)
        assert process.returncode == 0, process.stderr.read() if process.stderr else ""
    at_work = [thread for thread, used in ticks.items() if used > 0.1 * sum(ticks.values())]
    assert len(at_work) == 1, ticks
    assert most <= 1 + STARTED, ticks

"""Paths: shards are stable over runs and machines."""

import subprocess
import sys
from pathlib import Path

from avpretext.flow.paths import Layout, expand, shard_of


def test_a_clip_stays_in_its_shard_for_ever() -> None:
    assert [shard_of(f"clip {k}", 10) for k in range(8)] == [7, 9, 7, 0, 2, 1, 1, 0]


def test_the_shard_does_not_depend_on_the_process() -> None:
    code = "from avpretext.flow.paths import shard_of; print(shard_of('çlip 😀', 1000))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(other.stdout) == shard_of("çlip 😀", 1000)


def test_shards_are_about_equally_full() -> None:
    counts = [0] * 8
    for clip in range(8000):
        counts[shard_of(f"clip{clip}", 8)] += 1
    assert max(counts) < 1.15 * min(counts)


def test_paths_are_results_corpus_stage_shard() -> None:
    layout = Layout("results")
    assert layout.shard("demo", "speech", 3) == "results/demo/speech/0003.parquet"
    assert layout.shard("demo", "split", 3, "audio") == "results/demo/split/audio/0003.parquet"
    assert layout.shard("{corpus}", "speech", "{shard}") == "results/{corpus}/speech/{shard}.parquet"


def test_shard_sets_expand_by_count_so_that_shards_of_an_earlier_count_stay_out(tmp_path: Path) -> None:
    for shard in range(3):
        (tmp_path / f"{shard:04d}.parquet").touch()
    assert [path.name for path in expand(f"{tmp_path}@2")] == ["0000.parquet", "0001.parquet"]
    assert len(expand(tmp_path)) == 3
    assert expand(tmp_path / "0001.parquet") == [tmp_path / "0001.parquet"]

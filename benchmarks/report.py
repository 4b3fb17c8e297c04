"""Time, memory and size of the stage `report` on a corpus, and on one that has so many times its clips.

    make demo && python benchmarks/report.py [--times 1 4 16]

The shards of the demo's `demo_unlabelled` are written several times over, each time under other clip_ids, into a
results folder that has nothing else; the report of it is then made by a process of its own. First comes the demo's own
report, whole. Seconds are of the processor, of user and system; memory is the peak of the process.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import yaml

from avpretext import shards
from avpretext.flow.paths import Layout

CORPUS, SHARDS = "demo_unlabelled", 4
SHARDED = ("index", "split.audio", "speech", "landmarks.thumbnails", "motion", "action_units")
WHOLE = ("labels_energy", "labels_activation", "labels_emotion", "rejects")


def multiply(source: Layout, target: Layout, times: int) -> None:
    """Write every artefact of the corpus `times` times over."""
    for copy in range(times):
        for shard in range(SHARDS):
            for artefact in SHARDED:
                path = source.path(artefact, corpus=CORPUS, shard=shard)
                written = target.path(artefact, corpus=CORPUS, shard=copy * SHARDS + shard)
                shards.write_table(
                    written, _renamed(path, copy), shards.read_schema(path), shards.read_provenance(path)
                )
    for stage in WHOLE:
        path = source.path(stage, corpus=CORPUS)
        rows = pa.concat_tables([_renamed(path, copy) for copy in range(times)])
        shards.write_table(
            target.path(stage, corpus=CORPUS), rows, shards.read_schema(path), shards.read_provenance(path)
        )


def _renamed(path: str, copy: int) -> pa.Table:
    rows = pa.concat_tables([shards.read_schema(path).empty_table(), *shards.iterate_groups(path)])
    names = pa.array([f"{copy:03d}/{name}" for name in rows["clip_id"].to_pylist()], pa.string())
    return rows.set_column(rows.column_names.index("clip_id"), "clip_id", names)


def measure(config: Path, output: Path) -> tuple[float, float, float]:
    """Return processor seconds, peak memory in MB, and size in MB, of making one report."""
    command = [sys.executable, "-m", "avpretext", "report", "--output", str(output), "--config", str(config)]
    child = subprocess.Popen(command)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, output.stat().st_size / 1e6


def main() -> None:
    """Print a row per size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("config.yaml"), help="configuration of the demo")
    parser.add_argument("--times", type=int, nargs="*", default=[1, 4, 16], help="how many times the clips")
    arguments = parser.parse_args()
    settings = yaml.safe_load(arguments.config.read_text())
    source = Layout(settings["results"])
    print("| report of | clips | processor s | peak MB | HTML, MB |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _print("the demo, whole", 0, measure(arguments.config, folder / "report.html"))
        for times in arguments.times:
            results, config = folder / f"{times}", folder / f"{times}.yaml"
            multiply(source, Layout(results), times)
            corpus = settings["corpora"][CORPUS] | {"shards": times * SHARDS}
            config.write_text(yaml.safe_dump({"results": str(results), "corpora": {CORPUS: corpus}}))
            _print(f"its faces, {times} times", 247 * times, measure(config, folder / "report.html"))


def _print(name: str, clips: int, measured: tuple[float, float, float]) -> None:
    print(f"| {name} | {clips or '–'} | {measured[0]:.1f} | {measured[1]:.0f} | {measured[2]:.1f} |", flush=True)


if __name__ == "__main__":
    main()

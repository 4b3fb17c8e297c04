"""Threads: a stage keeps no more processors busy than it declares."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from avpretext import shards
from avpretext.flow.paths import Layout

from .conftest import MadeOnce
from .report.whole_run import build, configured
from .sound.test_speech import RATE, noise, shard
from .training.conftest import SMALL, TinyCorpus
from .training.test_baseline import functionals_of
from .training.test_deepemocluster import SMALL as CLUSTERED
from .training.test_deepemocluster import write_log_mel

AT_REST = ("jemalloc_bg_thd", "polars-")
"""Names of threads that sleep but to hand memory back: of Arrow's and polars' allocators, and polars' own."""

READING_TABLES = ("tokio-rt-worker", "async-executor-")
"""Names of threads that polars keeps for reading text; they may work while others wait."""

STARTED = 4
"""Beside those that are declared: Arrow's, for reading and for decoding, and polars'; they wait while others work."""


DRIVER = """
import json, os, sys, threading, time
from avpretext.cli import app

def threads():
    for number in os.listdir("/proc/self/task"):
        try:
            name, _, fields = open(f"/proc/self/task/{number}/stat").read().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if int(number) != watching:
            yield number, name, sum(map(int, fields.split()[11:13]))

def watch():
    global watching
    watching = threading.get_native_id()
    while True:
        seen.append(list(threads()))
        time.sleep(0.01)

watching, seen = 0, []
threading.Thread(target=watch, daemon=True).start()
for stage, arguments in json.loads(sys.argv[1]).items():
    seen.append(list(threads()))
    first = len(seen) - 1
    app([stage, *arguments], standalone_mode=False)
    seen.append(list(threads()))
    print(json.dumps([stage, seen[first:]]), flush=True)
"""
"""Runs stages one after another in one interpreter; of each it writes number, name and processor time, in ticks, of the
threads, seen every 10 ms."""

Seen = list[list[tuple[str, str, int]]]


def learning(folder: Path) -> dict[str, list[str]]:
    """Return the arguments of the stages that learn from and look at features."""
    corpus = TinyCorpus(folder / "tiny", clips_each=20)
    corpus.folder.mkdir()
    corpus.write()
    name, speech = corpus.name, corpus.speech[0]
    learnt = [f"--targets={name}={corpus.targets()}", f"--folds={corpus.folds}"]
    index, heard = f"--index={name}={corpus.index[0]}", f"--features={name}.speech={speech}"
    log_mel = write_log_mel(corpus)[0]
    labels = [f"--labels={name}.{task}={path}" for task, path in corpus.labels.items()]
    keep_one_shard(corpus)
    return {
        "statistics": [f"--features=speech={speech}", "--output=statistics.parquet"],
        "pretrain": ["energy-emotion-clusters", heard, index, *labels[::2], "--output=pretrain", "--threads=1"],
        "finetune": ["scratch", heard, *learnt, "--output=finetune", "--threads=1"],
        "deepemocluster": [
            f"--features={name}.log_mel={log_mel}", index, *learnt, "--output=deepemocluster", "--threads=1",
        ],
        "baseline": [f"--vectors={name}.functionals={functionals_of(corpus)}", *learnt, "--output=svm.parquet"],
    }  # fmt: skip


def keep_one_shard(corpus: TinyCorpus) -> None:
    """Leave one shard of speech and index, and its clips in folds: a command is given one file of each."""
    kept = set(shards.read(corpus.index[0])["clip_id"])
    corpus.rows = [row for row in corpus.rows if row["clip_id"] in kept]
    corpus.write_folds(corpus.fold_rows())


def looking(folder: Path, run: Path) -> dict[str, list[str]]:
    """Return the arguments of the stages that look at all results."""
    config = configured(run)
    content = {**config.model_dump(mode="json"), "ensemble": {"members": [["scratch", "svm"]]}}
    (folder / "whole.yaml").write_text(yaml.safe_dump(content))
    layout, whole = Layout(config.results), "--config=whole.yaml"
    of = {"corpus": "demo_acted", "setting": "acted.speaker_kfold"}
    tuned = layout.path("finetune.predictions", variant=config.variant.name, initialisation="scratch", **of)
    beside = layout.path("baseline.predictions", **of)
    predictions = [f"--predictions={path}" for path in (tuned, beside)]
    return {
        "ensemble": [*predictions, "--output=ensemble.parquet", whole],
        "evaluate": [*predictions, "--output=evaluate", whole],
        "trust": [
            *predictions,
            f"--targets={layout.path('targets', corpus=of['corpus'], target='acted')}",
            f"--corpus={of['corpus']}",
            "--output=trust",
            whole,
        ],
        "tables": ["--output=tables", whole],
        "report": ["--output=report.html", whole],
        "ablate": ["--output=ablation", "--page=ablation.html", whole],
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with clips, and what the stages make of such."""
    path = tmp_path_factory.mktemp("threads")
    trained = {"epochs": 6, "batch_size": 32}
    content = {
        **SMALL, "corpora": {"c": {"path": ".", "use": ["pretrain"]}}, "speech": {"feature_set": "eGeMAPSv02"},
        "model": {"width": 64, "step_frames": 2}, "pretrain": trained, "finetune": {**trained, "seeds": 1},
        "deepemocluster": {**CLUSTERED, "epochs": 3, "width": 8}, "statistics": {"features": ["speech"]},
    }  # fmt: skip
    (path / "config.yaml").write_text(yaml.safe_dump(content))
    shard(path / "c/split/audio/0.parquet", {f"clip {n}": noise(20 * RATE, n) for n in range(2)})
    return path


AUDIO = ["--audio=c/split/audio/0.parquet", "--output=out.parquet", "--threads=1"]


@pytest.fixture(scope="module")
def seen(folder: Path, made_once: MadeOnce) -> dict[str, Seen]:
    """The threads of each stage, of a room in one interpreter."""
    sound = {
        "speech": [*AUDIO, "--rejects=rejects.parquet"],
        "log_mel": AUDIO,
        "functionals": AUDIO,
        "speed": ["1.08", *AUDIO],
    }
    found: dict[str, Seen] = {}
    for stages in (sound, learning(folder), looking(folder, made_once("a whole run", build))):
        command = [sys.executable, "-c", DRIVER, json.dumps(stages)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found |= dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))
    return found


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc, which Linux has")
@pytest.mark.parametrize(
    "stage",
    ["speech", "log_mel", "functionals", "speed", "statistics", "pretrain", "finetune", "deepemocluster", "baseline",
     "ensemble", "evaluate", "trust", "tables", "report", "ablate"],
)  # fmt: skip
def test_one_thread_declared_is_one_thread_that_works(seen: dict[str, Seen], stage: str) -> None:
    counted = [[entry for entry in threads if not entry[1].startswith(AT_REST)] for threads in seen[stage]]
    before = {number: used for number, _, used in counted[0]}
    ticks = {(number, name): used - before.get(number, 0) for threads in counted for number, name, used in threads}
    # A single tick of the clock may be rounding.
    at_work = [thread for thread, used in ticks.items() if used > max(1, 0.1 * sum(ticks.values()))]
    assert len(at_work) == 1, ticks
    assert max(sum(not name.startswith(READING_TABLES) for _, name, _ in threads) for threads in counted) <= 1 + STARTED

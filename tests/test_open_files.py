"""Open files and temporary space: however many shards there are, a few files are open, and nothing stays behind."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import pytest
import yaml

from avpretext import shards

from .conftest import MadeOnce
from .report.whole_run import build, configured
from .training.conftest import SMALL, TinyCorpus
from .training.test_baseline import functionals_of
from .training.test_deepemocluster import SMALL as CLUSTERED
from .training.test_deepemocluster import write_log_mel

SHARDS = 34
OPEN_FILES = 30
"""Allowed; Python, torch and polars have some ten open while they load."""

ONE_AFTER_ANOTHER = f"""
import json, os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({OPEN_FILES}, {OPEN_FILES}))
from avpretext.cli import app
for arguments in json.load(sys.stdin):
    print(arguments[0], len(os.listdir("/proc/self/fd")), flush=True)
    app(arguments, standalone_mode=False)
"""


def in_many(files: list[Path], folder: Path) -> Path:
    """Write the rows of some shards as many, a clip or none in each."""
    rows, schema, made_by = shards.read(files), shards.read_schema(files[0]), shards.read_provenance(files[0])
    clips = rows.partition_by("clip_id", maintain_order=True)
    for number in range(SHARDS):
        mine = clips[number] if number < len(clips) else rows.clear()
        shards.write_table(folder / f"{number:04d}.parquet", mine, schema, made_by)
    return folder


def learning(folder: Path, made_once: MadeOnce) -> list[list[str]]:
    """Return the commands of trainings on a small corpus, each on many shards."""
    corpus = TinyCorpus(folder / "tiny", speakers=6, clips_each=10)
    corpus.folder.mkdir()
    corpus.write()
    speech, index = in_many(corpus.speech, folder / "speech"), in_many(corpus.index, folder / "index")
    log_mel = in_many(write_log_mel(corpus), folder / "log_mel")
    vectors = in_many([functionals_of(corpus)], folder / "functionals")
    file = folder / "small.yaml"
    file.write_text(yaml.safe_dump({**SMALL, "deepemocluster": {**CLUSTERED, "epochs": 1}}))
    labels = [f"--labels=tiny.{task}={path}" for task, path in corpus.labels.items()]
    learnt = [f"--targets=tiny={corpus.targets()}", f"--folds={corpus.folds}"]
    starts = f"--starts={folder}/pretrain/0/checkpoint.safetensors"
    return [
        ["pretrain", "energy-activation-emotion", f"--features=tiny.speech={speech}", f"--index=tiny={index}", *labels,
         f"--output={folder}/pretrain", f"--config={file}"],
        ["finetune", "energy-activation-emotion", f"--features=tiny.speech={speech}", *learnt, starts, "--threads=2",
         f"--output={folder}/finetune", f"--config={file}"],
        ["deepemocluster", f"--features=tiny.log_mel={log_mel}", f"--index=tiny={index}", *learnt,
         f"--output={folder}/deepemocluster", f"--config={file}"],
        ["baseline", f"--vectors=tiny.functionals={vectors}", *learnt, f"--output={folder}/svm.parquet",
         f"--config={file}"],
        ["evaluate", f"--predictions={folder}/finetune/predictions.parquet", f"--predictions={folder}/svm.parquet",
         f"--output={folder}/evaluate", f"--config={file}"],
    ]  # fmt: skip


def whole_corpora(folder: Path, made_once: MadeOnce) -> list[list[str]]:
    """Return the commands that look at all shards of corpora, of which there are many."""
    config = configured(shutil.copytree(made_once("a whole run", build), folder / "whole"))
    content = config.model_dump(mode="json")
    for corpus in content["corpora"]:
        content["corpora"][corpus]["shards"] = SHARDS
        for first in (folder / "whole/results" / corpus).rglob("0000.parquet"):
            in_many([first, first.with_name("0001.parquet")], first.parent)
    file = folder / "whole.yaml"
    file.write_text(yaml.safe_dump(content))
    talk, made = folder / "whole/results/demo_talk", folder / "made"
    index, common = f"--index={talk}/index", [f"--config={file}"]
    return [
        ["rejects", "--corpus=demo_talk", f"--clips={talk}/index", f"--rejects={refused(folder)}",
         f"--output={made}/rejects.parquet", *common],
        ["neutral", f"--landmarks={talk}/landmarks", index, f"--output={made}/neutral.parquet", *common],
        ["labels_energy", f"--speech={talk}/speech", index, f"--output={made}/energy.parquet", *common],
        ["labels_activation", f"--motion={talk}/motion", f"--audio={talk}/split/audio",
         f"--output={made}/activation.parquet", *common],
        ["labels_emotion", f"--action-units={talk}/action_units", f"--output={made}/emotion.parquet", *common],
        ["tables", f"--output={made}/tables", *common],
        ["report", f"--output={made}/report.html", *common],
        ["ablate", f"--output={made}/ablation", f"--page={made}/ablation.html", *common],
    ]  # fmt: skip


def refused(folder: Path) -> Path:
    """Write rejects of a stage, one in all."""
    [file] = (folder / "whole/results/demo_talk/rejects").iterdir()
    return in_many([file], folder / "rejects")


def media(folder: Path, made_once: MadeOnce) -> list[list[str]]:
    """Return the commands from files to features, of more clips than files may be open."""
    film = folder / "films/0.mp4"
    film.parent.mkdir()
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.4"]
    subprocess.run([*command, "-f", "lavfi", "-i", "sine=d=0.4", "-shortest", str(film)], check=True)
    for number in range(1, OPEN_FILES + 10):
        shutil.copy(film, film.with_name(f"{number}.mp4"))
    file = folder / "media.yaml"
    file.write_text(yaml.safe_dump({"corpora": {"films": {"path": str(film.parent), "use": ["pretrain"]}}}))
    audio, threads, config = f"--audio={folder}/m/split/audio/0000.parquet", "--threads=2", f"--config={file}"
    return [
        ["index", "--corpus=films", "--shard=0", f"--output={folder}/m/index/0000.parquet",
         f"--rejects={folder}/m/refused.parquet", config],
        ["split", f"--index={folder}/m/index/0000.parquet", f"--folder={film.parent}", audio, threads, config,
         f"--frames={folder}/m/split/frames/0000.parquet", f"--rejects={folder}/m/split/rejects/0000.parquet"],
        ["speech", audio, f"--output={folder}/m/speech/0000.parquet", f"--rejects={folder}/m/speech/rejects.parquet",
         threads, config],
        ["log_mel", audio, f"--output={folder}/m/log_mel/0000.parquet", threads, config],
        ["functionals", audio, f"--output={folder}/m/functionals/0000.parquet", threads, config],
        ["statistics", f"--features=speech={folder}/m/speech/0000.parquet",
         f"--features=log_mel={folder}/m/log_mel/0000.parquet", f"--output={folder}/m/statistics.parquet", config],
        ["speed", "1.08", audio, f"--output={folder}/m/speed/0000.parquet", threads],
    ]  # fmt: skip


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in /proc, which Linux has")
@pytest.mark.parametrize("stages", [media, learning, whole_corpora])
def test_a_few_open_files_are_enough_for_many_clips_and_shards_and_nothing_stays_behind(
    tmp_path: Path, made_once: MadeOnce, stages: Callable[[Path, MadeOnce], list[list[str]]]
) -> None:
    commands = stages(tmp_path, made_once)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_ANOTHER], input=json.dumps(commands), capture_output=True, text=True,
        check=False, env=os.environ | {"TMPDIR": str(temporary)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    opened = [int(line.partition(" ")[2]) for line in done.stdout.splitlines() if line.partition(" ")[2].isdigit()]
    assert len(opened) == len(commands)
    assert max(opened) < 20, done.stdout
    left = [path for path in temporary.rglob("*") if not path.name.startswith("torchinductor_")]
    assert left == [], "nothing but an empty folder, which torch makes"
    assert list(tmp_path.rglob(f"{shards.TEMPORARY[0]}*")) == []

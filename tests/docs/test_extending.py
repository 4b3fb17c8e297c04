"""The worked examples of docs/extending.md, applied to a copy of the repository, do what the page says."""

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile

from avpretext import shards
from avpretext.face.blendshapes import BLENDSHAPES
from avpretext.flow.artefacts import landmarks_schema, schema_of
from avpretext.flow.paths import Layout

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "extending.md").read_text("utf-8")
STEP = re.compile(
    r"(?:Write `(?P<new>[^`]+)`|At the end of `(?P<end>[^`]+)`"
    r"|In `(?P<file>[^`]+)`, (?P<where>before|in place of) `(?P<anchor>[^`]+)`):\n\n```python\n(?P<code>.*?)```",
    re.DOTALL,
)
FRAMES = 75
"""Video frames of a clip: 3 s at 25 per second."""

Run = Callable[..., str]


def applied(step: re.Match[str], root: Path) -> None:
    """Do what one step of the page says."""
    file = root / (step["new"] or step["end"] or step["file"])
    if step["new"]:
        assert not file.exists()
        file.write_text(step["code"], "utf-8")
        return
    text = file.read_text("utf-8")
    if step["end"]:
        file.write_text(f"{text}\n\n{step['code']}", "utf-8")
        return
    lines = text.splitlines(keepends=True)
    places = [k for k, line in enumerate(lines) if line.strip().startswith(step["anchor"])]
    assert places, f"docs/extending.md: no line of {step['file']} starts with {step['anchor']!r}"
    lines[places[0] : places[0] + (step["where"] == "in place of")] = [step["code"]]
    file.write_text("".join(lines), "utf-8")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with all examples applied, and a corpus of six clips of three speakers."""
    copy = tmp_path_factory.mktemp("extended")
    for name in ("src", "workflow"):
        shutil.copytree(REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(REPOSITORY / name, copy / name)
    (copy / "profiles").symlink_to("workflow/profiles")
    steps = list(STEP.finditer(PAGE))
    assert len(steps) == PAGE.count("```python")
    for step in steps:
        applied(step, copy)
    (copy / "clips").mkdir()
    (copy / "mine.yaml").write_text(
        "corpora: {mine: {path: clips, use: [pretrain]}}\n"
        "action_units: {backend: 'au_smile:measure'}\n"
        "pretrain: {task_sets: [[smile]], epochs: 1, dev_fraction: 0.34}\n"
    )
    write_shards(Layout(copy / "results"))
    return copy


def write_shards(layout: Layout) -> None:
    """Write audio and landmarks of clips that smile more and more in the course of time."""
    names = [(f"{who}_{k}", who) for who in ("anna", "ben", "carla") for k in (0, 1)]
    index = [dict.fromkeys(schema_of("index").names) | {"clip_id": clip, "path": f"{clip}.mp4", "speaker": who}
             for clip, who in names]  # fmt: skip
    shards.write_table(layout.path("index", corpus="mine", shard=0), index, schema_of("index"), {})
    file = io.BytesIO()
    soundfile.write(file, np.tile([0.5, 0.5, -0.5, -0.5], 12_000), 16_000, format="FLAC")
    audio = [
        {"clip_id": clip, "speaker": who, "label": None, "duration_s": 3.0, "samples": 48_000, "content": clip,
         "audio": {"bytes": file.getvalue(), "path": "x.flac"}, "video_frames": FRAMES, "fps": 25.0}
        for clip, who in names
    ]  # fmt: skip
    shards.write_table(layout.path("split.audio", corpus="mine", shard=0), audio, schema_of("split.audio"), {})
    schema = landmarks_schema(68)
    smiles = [k for k, name in enumerate(BLENDSHAPES) if name.startswith("mouthSmile")]
    rows = []
    for clip, _ in names:
        for frame in range(FRAMES):
            shapes = [frame / FRAMES if k in smiles else 0.0 for k in range(52)]
            seen = {"detected": True, "faces": 1, "landmarks": [0.0] * 204, "blendshapes": shapes}
            rows.append(dict.fromkeys(schema.names) | {"clip_id": clip, "frame": frame, "time_s": frame / 25} | seen)
    shards.write_table(layout.path("landmarks", corpus="mine", shard=0), rows, schema, {})


@pytest.fixture(scope="module")
def run(root: Path) -> Run:
    def command(*words: str) -> str:
        environment = os.environ | {"PYTHONPATH": str(root / "src")}
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return command


@pytest.fixture(scope="module")
def action_units(root: Path, run: Run) -> Path:
    """The shard that the backend of the page writes."""
    output = Path(Layout(root / "results").path("action_units", corpus="mine", shard=0))
    run("avpretext", "action_units", "--landmarks", Layout(root / "results").path("landmarks", corpus="mine", shard=0),
        "--output", str(output), "--config", "mine.yaml")  # fmt: skip
    return output


def test_the_backend_measures_the_smile_and_nothing_else(action_units: Path) -> None:
    units = pl.read_parquet(action_units).filter(pl.col("clip_id") == "anna_0")
    assert units["AU12"].to_list() == pytest.approx([frame / FRAMES for frame in range(FRAMES)], abs=1e-6)
    assert units["AU04"].null_count() == FRAMES


def test_the_stage_counts_zero_crossings(root: Path, run: Run) -> None:
    run("doctest", "src/avpretext/sound/crossings.py")
    layout = Layout(root / "results")
    output = root / "crossings.parquet"
    run("avpretext", "crossings", "--audio", layout.path("split.audio", corpus="mine", shard=0), "--output", str(output),
        "--config", "mine.yaml")  # fmt: skip
    rows = pl.read_parquet(output).filter(pl.col("clip_id") == "ben_1")
    assert len(rows) == 300
    assert rows["crossings_hz"][150] == pytest.approx(8000, rel=0.01)  # the sign changes at every second sample
    assert shards.read_provenance(output)["options"] == {"window_s": 0.025}


def test_the_task_labels_chunks_by_the_smile_and_is_learnt(root: Path, run: Run, action_units: Path) -> None:
    layout = Layout(root / "results")
    labels = layout.path("labels_smile", corpus="mine")
    folder, audio = str(action_units.parent), str(Path(layout.path("split.audio", corpus="mine", shard=0)).parent)
    run("avpretext", "labels_smile", "--action-units", folder, "--audio", audio, "--output", labels,
        "--config", "mine.yaml")  # fmt: skip
    of_clip = pl.read_parquet(labels).filter(pl.col("clip_id") == "carla_0")
    assert of_clip["label"].to_list() == [0, 0, 0, 1, 1]  # the middle chunk is the median itself
    speech = str(Path(layout.path("speech", corpus="mine", shard=0)).parent)
    run("avpretext", "speech", "--audio", f"{audio}/0000.parquet", "--output", f"{speech}/0000.parquet",
        "--rejects", f"{speech}/rejects/0000.parquet", "--config", "mine.yaml")  # fmt: skip
    run("avpretext", "pretrain", "smile", "--features", f"mine.speech={speech}@1", "--index",
        f"mine={Path(layout.shard('mine', 'index', 0)).parent}@1", "--labels", f"mine.smile={labels}", "--output",
        str(root / "pretrained"), "--config", "mine.yaml")  # fmt: skip
    history = pl.read_parquet(root / "pretrained" / "history.parquet")
    assert "smile_uar" in history["measure"].to_list()


def test_the_workflow_plans_the_new_rules(root: Path, run: Run) -> None:
    (root / "clips" / "a.mp4").write_bytes(b"not read by a dry run")
    plan = run("snakemake", "--cores", "1", "-n", "--configfile", "mine.yaml", "--workflow-profile", "none",
               "results/mine/crossings/0000.parquet", "results/pretrain/mean/smile/0/checkpoint.safetensors",
               "--forceall")  # fmt: skip
    for rule in ("crossings", "labels_smile", "action_units", "pretrain"):
        assert re.search(rf"^{rule} ", plan, re.MULTILINE), plan

"""The worked examples of docs/extending.md, applied to a copy of the repository, do what the page says."""

import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
import yaml
from tests.workflow import warm
from tests.workflow.conftest import corpus_folder as corpus_folder  # fixtures
from tests.workflow.conftest import finished as finished
from tests.workflow.project import Project, small_config

from avpretext.shards import read_provenance

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "extending.md").read_text("utf-8")
MEASURED = ("models", *(f"unlabelled/{stage}" for stage in ("index", "split", "landmarks", "motion", "rejects")))
"""What no example changes of a finished run."""

STEP = re.compile(
    r"(?:Write `(?P<new>[^`]+)`|At the end of `(?P<end>[^`]+)`"
    r"|In `(?P<file>[^`]+)`, (?P<where>before|in place of) `(?P<anchor>[^`]+)`):\n\n```python\n(?P<code>.*?)```",
    re.DOTALL,
)
ADDED = {
    "a corpus": {"studio.py"},
    "networks": {"plain.py"},
    "a backend": {"au_smile.py"},
    "a stage": {"src/avpretext/sound/crossings.py", "src/avpretext/flow/artefacts.py", "workflow/rules/features.smk"},
    "a task": {"src/avpretext/flow/tasks.py", "src/avpretext/labels/smile.py", "workflow/rules/labels.smk"},
}
"""All files that are edited: a page that needs more of a reader has to say why here."""


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
    if not places:  # a call whose first argument stands in the next line
        joined = [line.strip() + following.strip() for line, following in pairwise(lines)]
        places = [k for k, line in enumerate(joined) if line.startswith(step["anchor"])]
    assert places, f"docs/extending.md: no line of {step['file']} starts with {step['anchor']!r}"
    lines[places[0] : places[0] + (step["where"] == "in place of")] = [step["code"]]
    file.write_text("".join(lines), "utf-8")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, corpus_folder: Path, finished: Project, face_model: Path) -> Path:
    """A copy of the repository with all examples applied, and the small demo corpus, its unlabelled faces measured."""
    copy = tmp_path_factory.mktemp("extended")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("src", "workflow", "envs"):
        shutil.copytree(REPOSITORY / name, copy / name, ignore=ignored)
    shutil.copytree(corpus_folder, copy / "demo")
    for stage in MEASURED:
        shutil.copytree(finished.results / stage, copy / "results" / stage)
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(REPOSITORY / name, copy / name)
    (copy / "profiles").symlink_to("workflow/profiles")
    steps = list(STEP.finditer(PAGE))
    assert len(steps) == PAGE.count("```python")
    assert {step["new"] or step["end"] or step["file"] for step in steps} == set().union(*ADDED.values())
    for step in steps:
        applied(step, copy)
    config = small_config()
    config["corpora"]["labelled"]["reader"] = "studio:READER"
    more = {
        "models": {"folder": str(face_model.parent)},
        "action_units": {"backend": "au_smile:measure"},
        "model": {"encoder": "plain:Averaged", "aggregator": "plain:Strongest"},
        "pretrain": {"task_sets": [["smile"], ["energy", "smile"]], "epochs": 2},
    }
    (copy / "mine.yaml").write_text(yaml.safe_dump(config | more, sort_keys=False))
    return copy


def environment(root: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(root / "src")])}


def run(root: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=root, env=environment(root), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def results(root: Path) -> Path:
    """The results of the whole workflow, up to the report, and of the added stage."""
    words = ["all", "results/labelled/crossings/0000.parquet", "--cores", "2", "--workflow-profile", "none"]
    words += ["--snakefile", str(root / "Snakefile"), "--directory", str(root), "--configfile", str(root / "mine.yaml")]
    python = warm.warm_python() or Path(sys.executable)
    with open(root / "said.txt", "wb") as said:
        status = warm.run("snakemake", *words, executable=python, environment=environment(root), output=said.fileno())
    assert status == 0, (root / "said.txt").read_text("utf-8")
    return root / "results"


@pytest.mark.workflow
def test_the_reader_names_clips_speakers_and_emotions(results: Path) -> None:
    targets = pl.read_parquet(results / "labelled" / "targets" / "acted.parquet")
    assert targets["speaker"].n_unique() == 4
    assert set(targets["label"]) == {"ANG", "DIS", "FEA", "HAP", "NEU", "SAD"}


@pytest.mark.workflow
def test_the_backend_measures_the_smile_and_nothing_else(results: Path) -> None:
    units = pl.read_parquet(results / "unlabelled" / "action_units" / "0000.parquet")
    assert units["AU12"].max() > 0.2
    assert units["AU04"].null_count() == len(units)


@pytest.mark.workflow
def test_the_stage_counts_zero_crossings(root: Path, results: Path) -> None:
    run(root, "doctest", "src/avpretext/sound/crossings.py")
    shard = results / "labelled" / "crossings" / "0000.parquet"
    rows, speech = pl.read_parquet(shard), pl.read_parquet(results / "labelled" / "speech" / "0000.parquet")
    assert rows["clip_id", "frame"].equals(speech["clip_id", "frame"])
    assert 100 < rows["crossings_hz"].mean() < 8000
    assert read_provenance(shard)["stage_version"] == 1


@pytest.mark.workflow
def test_the_task_is_learnt_and_is_in_tables_report_and_inspect(root: Path, results: Path) -> None:
    labels = pl.read_parquet(results / "unlabelled" / "labels_smile" / "all.parquet")
    assert set(labels["label"].drop_nulls()) == {0, 1}
    network = results / "pretrain" / "plain:Strongest"
    history = pl.read_parquet(network / "energy-smile" / "history.parquet")
    assert {"smile_uar", "energy_uar"} <= set(history["measure"])
    main = pl.read_csv(results / "tables" / "main.csv")
    assert {"smile", "energy-smile"} <= set(main["initialisation"])
    assert main.filter(pl.col("initialisation") == "energy-smile")["smile"].to_list() == [1]
    assert "smile" in set(pl.read_csv(results / "tables" / "label_balance.csv")["task"])
    stages = set(pl.read_csv(results / "tables" / "provenance.csv")["stage"])
    assert {"labels_smile", "export", "card", "models"} <= stages
    page = (results / "report.html").read_text("utf-8")
    assert "--smile: #8a5a00" in page
    assert "Smile, chunks" in page
    clip = labels["clip_id"][0]
    said = run(root, "avpretext", "inspect", clip, "--output", "clip.png", "--config", "mine.yaml")
    assert re.search(r"smile +high in \d+ of \d+ chunks", said)
    assert (root / "clip.png").stat().st_size > 10_000

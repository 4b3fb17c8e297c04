"""A finished run opens in Python, as docs/open.md tells."""

import shutil
from pathlib import Path

import polars as pl
import pytest

import avpretext
from avpretext.config import Config
from avpretext.errors import UserError
from avpretext.evaluation.open_run import OpenRun
from avpretext.evaluation.opened import Run
from avpretext.run import manifest


@pytest.fixture(scope="module")
def folder(results: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run with its manifest, moved to another folder."""
    moved = tmp_path_factory.mktemp("moved") / "results"
    shutil.copytree(results.results, moved)
    manifest.run(results.model_copy(update={"results": str(moved)}), moved / "manifest.json")
    return moved


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    return avpretext.open(folder)


def test_clips_labels_and_scores_are_those_of_the_files(run: Run, folder: Path) -> None:
    clips = run.clips()
    assert set(clips["corpus"]) == set(run.corpora)
    refused = run.rejects().join(clips, on=["corpus", "clip_id"], how="semi")
    assert refused.filter(~pl.col("stage").is_in(["index", "segment"])).is_empty()
    labels = run.labels("energy").filter(corpus="demo_talk").drop("corpus")
    assert labels.equals(pl.read_parquet(folder / "demo_talk" / "labels_energy" / "all.parquet"))
    scores = run.scores("comparisons")
    files = sorted(folder.rglob("evaluate/*/comparisons.parquet"))
    assert scores.height == sum(len(pl.read_parquet(file)) for file in files)
    assert set(run.predictions()["split"]) == {"test", "test@noise0", "test@noise10", "test@telephone"}


def test_only_what_the_plan_has_is_in_the_manifest(run: Run, folder: Path) -> None:
    named = {file for entry in run.manifest["artefacts"] for file in entry["files"]}
    assert all((folder / file).is_file() for file in named)
    shutil.copytree(folder / "demo_talk" / "speech", folder / "demo_talk" / "log_mel", dirs_exist_ok=True)
    manifest.run(run.config, folder / "again.json")
    assert (folder / "again.json").read_text() == (folder / "manifest.json").read_text(), "a leftover has no entry"


def test_what_an_earlier_configuration_left_is_not_read(run: Run, folder: Path) -> None:
    corpora = {name: options.model_copy(update={"video": False}) for name, options in run.config.corpora.items()}
    blind = OpenRun(run.config.model_copy(update={"corpora": corpora}))
    assert (folder / "demo_talk" / "labels_emotion" / "all.parquet").is_file()
    assert OpenRun(run.config).labels("demo_talk", "emotion") is not None
    assert blind.labels("demo_talk", "emotion") is None
    assert blind.labels("demo_talk", "energy") is not None


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda run: run.labels("enrgy"), "did you mean 'energy'"),
        (lambda run: run.scores("metric"), "did you mean 'metrics'"),
        (lambda run: run.clip("nobody"), "nobody: no such clip"),
        (lambda run: run.table("speach"), "did you mean 'speech'"),
        (lambda run: run.table("log_mel"), "'log_mel': not in this run, which has .*speech"),
    ],
)
def test_a_misspelt_name_is_named(run: Run, ask: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ask(run)  # type: ignore[operator]


def test_a_folder_without_a_manifest_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"manifest\.json: no such file; run the workflow"):
        avpretext.open(tmp_path)

"""Re-running: only what an edit touches runs again. Every promise is read off Snakemake's own dry run."""

import json
import shutil
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from tests.workflow.project import Project

MEDIA = {"models", "index", "watch", "split_audio", "speech", "motion", "action_units"}


def test_nothing_is_left_to_do_after_a_finished_run(finished: Project) -> None:
    run = finished.snakemake("--dry-run")
    assert run.would_run() == {}
    assert "Nothing to be done" in run.text


@pytest.mark.parametrize(
    ("change", "first", "last"),
    [
        ({"labels": {"emotion": {"min_confidence": 0.3}}}, "labels_emotion", {"pretrain", "finetune", "report"}),
        ({"labels": {"energy": {"quantile": 0.3}}}, "labels_energy", {"pretrain", "finetune", "report"}),
        ({"pretrain": {"task_sets": [["energy"], ["energy", "activation", "emotion"]], "epochs": 3}}, "pretrain",
         {"finetune", "evaluate", "tables", "report"}),
        ({"finetune": {"seeds": 1, "epochs": 3}}, "finetune", {"evaluate", "tables", "report"}),
        ({"evaluate": {"bootstrap": 60, "permutations": 50}}, "evaluate", {"tables", "report"}),
    ],
    ids=["labels.emotion", "labels.energy", "pretrain", "finetune", "evaluate"],
)  # fmt: skip
def test_an_edited_option_redoes_its_stage_and_what_follows(
    finished: Project, change: dict[str, Any], first: str, last: set[str]
) -> None:
    runs = finished.snakemake("--dry-run", **change).would_run()
    assert first in runs
    assert last <= set(runs)
    before = [*MEDIA, "labels_energy", "labels_activation", "labels_emotion", "pretrain", "finetune"]
    untouched = MEDIA | set(before[: before.index(first)] if first in before else before)
    later_labels = {name for name in untouched if name.startswith("labels_") and name != first}
    assert not set(runs) & (untouched | later_labels)


@pytest.mark.parametrize(
    "change",
    [
        {"finetune": {"seeds": 1, "epochs": 2, "threads": 2, "device": "auto"}},
        {"pretrain": {"task_sets": [["energy"], ["energy", "activation", "emotion"]], "epochs": 2, "device": "auto",
                      "threads": 2}},
        {"action_units": {"pyfeat": {"device": "cpu", "weights": "elsewhere", "python": "elsewhere/python"}}},
        {"models": {"folder": "elsewhere"}},
        {"split": {"ffmpeg": imageio_ffmpeg.get_ffmpeg_exe()}},
        {"tracking": ["tensorboard"]},
    ],
    ids=["finetune", "pretrain", "action_units", "models", "split", "tracking"],
)  # fmt: skip
def test_where_a_stage_runs_redoes_nothing(finished: Project, change: dict[str, Any]) -> None:
    assert finished.snakemake("--dry-run", **change).would_run() == {}


def test_a_training_writes_its_curves_and_switching_them_off_redoes_nothing(sounds: Project, tmp_path: Path) -> None:
    project = sounds.copy(tmp_path / "copy")
    tables = (project.results / "tables/main.csv").read_bytes()
    project.snakemake("results/tables/main.csv", "--forcerun", "finetune", tracking=["tensorboard"])
    runs = [file.parent.name for file in (project.results / "tracking").rglob("events.*")]
    assert runs == ["fold0.seed0"] * 2  # from scratch, and from the one set of tasks
    assert (project.results / "tables/main.csv").read_bytes() == tables
    assert project.snakemake("--dry-run", "results/tables/main.csv").would_run() == {}


def test_the_emotion_labels_alone_touch_only_the_sets_of_tasks_that_use_them(finished: Project) -> None:
    runs = finished.snakemake("--dry-run", labels={"emotion": {"min_confidence": 0.3}}).would_run()
    assert runs["pretrain"] == 1  # of two sets, one has the task


def test_a_new_clip_redoes_its_shard_alone(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "copy")
    speaker = next(path for path in sorted((project.folder / "demo/unlabelled").iterdir()) if path.is_dir())
    shutil.copy2(next(speaker.glob("*.mp4")), speaker / "one more – 'new' 😀.mp4")
    runs = project.snakemake("--dry-run").would_run()
    assert {stage: runs[stage] for stage in ("index", "watch", "speech", "motion")} == {
        "index": 1, "watch": 1, "speech": 1, "motion": 1,
    }  # fmt: skip
    assert "split_audio" not in runs


@pytest.mark.parametrize("stage", ["evaluate", "trust", "watch"])
@pytest.mark.parametrize("target", [(), ("results/tables/main.csv",)], ids=["all", "a table"])
def test_a_file_that_was_removed_is_made_again_and_so_are_the_tables(
    finished: Project, stage: str, target: tuple[str, ...]
) -> None:
    """Nothing but tables and pages rest on it, and these name the manifest alone."""
    made = {"evaluate": "evaluate/**/metrics.parquet", "trust": "trust/**/*.parquet", "watch": "preview/*.parquet"}
    removed = min(finished.results.rglob(made[stage]))
    aside = removed.rename(removed.with_suffix(".aside"))
    try:
        runs = finished.snakemake("--dry-run", *target).would_run()
    finally:
        aside.rename(removed)
    assert {stage, "manifest", "tables"} <= set(runs)
    assert ("report" in runs) == (not target)


def test_frames_that_are_to_be_kept_are_stored_and_looked_at_again(finished: Project) -> None:
    runs = finished.snakemake("--dry-run", split={"keep_frames": True}).would_run()
    assert (runs["split"], runs["landmarks"]) == (2, 2)
    assert "watch" not in runs


def test_a_stage_that_is_forced_leaves_what_comes_before_it(finished: Project) -> None:
    runs = finished.snakemake("--dry-run", "--forcerun", "motion").would_run()
    assert runs["motion"] == 2
    assert not {"watch", "speech", "labels_energy", "labels_emotion"} & set(runs)


def test_provenance_is_in_every_shard(finished: Project) -> None:
    from avpretext import shards

    for path in (finished.folder / "results").rglob("*.parquet"):
        made_by = shards.read_provenance(path)
        assert made_by.get("stage"), path
        assert made_by.get("package_version"), path
    shard = finished.folder / "results/unlabelled/landmarks/0000.parquet"
    assert "face_landmarker.task" in json.dumps(shards.read_provenance(shard))
    assert {"python", "system", "cpu", "opensmile"} <= set(shards.read_machine(shard))


def test_a_line_tells_of_the_run_and_no_artefact_does(finished: Project) -> None:
    run = json.loads((finished.results / "runs.jsonl").read_text("utf-8").splitlines()[0])
    assert run["command"].startswith("snakemake --snakefile")
    assert {"started", "commit", "host", "torch", "python", "cpu", "system"} <= set(run)
    for path in (finished.results / "tables").iterdir():
        assert "--snakefile" not in path.read_text("utf-8"), path
    assert run["cpu"] in (finished.results / "report.html").read_text("utf-8")

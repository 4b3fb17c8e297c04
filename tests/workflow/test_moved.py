"""Results without Snakemake's records: moved, copied, under another name, from another folder, or mixed with others."""

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.workflow.project import Project

OTHER_LABELS: dict[str, Any] = {"labels": {"emotion": {"min_confidence": 0.3}}}
FEWER_DRAWS: dict[str, Any] = {"evaluate": {"bootstrap": 60, "permutations": 50}}


def moved(finished: Project, folder: Path) -> Project:
    """Return the project in another folder: the records are lost, and the times of the results are scrambled."""
    shutil.copytree(finished.folder / "demo", folder / "demo", copy_function=shutil.copy2)
    shutil.copytree(finished.results, folder / "results", copy_function=shutil.copy)
    return Project(folder, finished.config)


def absolute(finished: Project, results: Path) -> dict[str, Any]:
    """Return the configuration with other names of the same folders."""
    corpora = {
        name: {
            key: str(finished.folder / value) if key in ("path", "truth") else value for key, value in options.items()
        }
        for name, options in finished.config["corpora"].items()
    }
    return {**finished.config, "corpora": corpora, "results": str(results)}


@pytest.mark.workflow
def test_of_moved_results_nothing_is_made_again_but_what_an_edit_touches(finished: Project, tmp_path: Path) -> None:
    project = moved(finished, tmp_path / "moved")
    half_written = project.results / "labelled" / ".avpretext-a_machine-1-x.tmp"
    half_written.touch()
    os.utime(half_written, (1, 1))
    assert "Nothing to be done" in project.snakemake("--dry-run").text
    assert half_written.exists(), "a dry run removes nothing"
    there = finished.snakemake("--dry-run", **OTHER_LABELS).would_run()
    run = project.snakemake("--dry-run", **OTHER_LABELS)
    assert run.would_run() == there
    assert "labels.emotion.min_confidence (1)" in run.text


@pytest.mark.workflow
def test_another_working_directory_and_other_names_of_the_same_folders_change_nothing(
    finished: Project, tmp_path: Path
) -> None:
    link = tmp_path / "a link"
    link.symlink_to(finished.results)
    there = finished.snakemake("--dry-run", **FEWER_DRAWS).would_run()
    for number, results in enumerate((finished.results, link)):
        folder = tmp_path / f"elsewhere{number}"
        folder.mkdir()
        project = Project(folder, absolute(finished, results))
        assert "Nothing to be done" in project.snakemake("--dry-run").text
        assert project.snakemake("--dry-run", **FEWER_DRAWS).would_run() == there


@pytest.mark.workflow
def test_an_edit_gives_moved_results_the_tables_of_a_run_in_place(finished: Project, tmp_path: Path) -> None:
    in_place, project = finished.copy(tmp_path / "in place"), moved(finished, tmp_path / "moved")
    made = "results/tables/main.csv"
    for one in (in_place, project):
        one.snakemake(made, **FEWER_DRAWS)
    assert project.artefacts() == in_place.artefacts()
    assert project.artefacts() != finished.artefacts()
    assert "Nothing to be done" in project.snakemake(made, "--dry-run", **FEWER_DRAWS).text


@pytest.mark.workflow
def test_one_file_of_another_run_is_made_again_with_what_follows(finished: Project, tmp_path: Path) -> None:
    other, project = finished.copy(tmp_path / "other"), moved(finished, tmp_path / "moved")
    other.snakemake("pseudo_labels", **OTHER_LABELS)
    labels = "unlabelled/labels_emotion/all.parquet"
    shutil.copy2(other.results / labels, project.results / labels)
    runs = project.snakemake("--dry-run").would_run()
    assert runs == finished.snakemake("--dry-run", **OTHER_LABELS).would_run()


def is_at(jobs: Path, stage: str) -> bool:
    """Tell whether a job of a stage has said that it is at work; others come and go."""
    for mark in jobs.glob("*"):
        with contextlib.suppress(FileNotFoundError):
            if f"avpretext {stage}" in mark.read_text("utf-8"):
                return True
    return False


@pytest.mark.workflow
def test_two_runs_in_the_same_results_and_jobs_that_outlive_one(finished: Project, tmp_path: Path) -> None:
    """The second, in a folder of its own, is refused, and so is one while a job of the killed first is at work."""
    project = finished.copy(tmp_path / "a project")
    (tmp_path / "elsewhere").mkdir()
    elsewhere = Project(tmp_path / "elsewhere", absolute(project, project.results))
    long = {"finetune": {"seeds": 1, "epochs": 100_000, "patience": 100_000}}  # until it is killed
    first = project.start(**long)
    jobs = project.results / ".avpretext" / "jobs"
    until = time.monotonic() + 120
    while not is_at(jobs, "finetune") and time.monotonic() < until:
        time.sleep(0.05)
    second = elsewhere.snakemake(check=False)
    assert second.status != 0
    assert "another run is at work there: `snakemake --snakefile" in second.text
    assert f"process {first.pid}" in second.text
    assert elsewhere.snakemake("--dry-run", **long).status == 0
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    third = elsewhere.snakemake(check=False)
    assert third.status != 0
    assert "jobs of a run that was killed are still at work there: `avpretext finetune" in third.text
    assert "(kill " in third.text
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert elsewhere.snakemake("--dry-run").status == 0


@pytest.mark.workflow
def test_a_corrected_table_with_an_older_time_is_read_again(finished: Project, tmp_path: Path) -> None:
    """As unzip, rsync -a and cp -p leave it; what is not of the labels is not made again."""
    (tmp_path / "sounds").mkdir()
    rows = ["path,speaker,mood"]
    for number, clip in enumerate(sorted((finished.folder / "demo" / "unlabelled").rglob("*.mp4"))[:6]):
        shutil.copy2(clip, tmp_path / "sounds" / f"{number}.mp4")
        rows.append(f"{number}.mp4,s{number // 2},{'glad' if number % 2 else 'sad'}")
    table = tmp_path / "table.csv"
    table.write_text("\n".join(rows) + "\n")
    corpus = {"path": "sounds", "reader": "folder", "table": "table.csv", "use": ["finetune"], "targets": ["mood"]}
    project = Project(tmp_path, {"results": "results", "corpora": {"mine": {**corpus, "video": False}}})
    made = "results/mine/targets/mood.parquet"
    project.snakemake(made)
    assert "Nothing to be done" in project.snakemake(made, "--dry-run").text
    status = table.stat()
    table.write_text(table.read_text().replace("0.mp4,s0,sad", "0.mp4,s0,bad"))
    os.utime(table, ns=(status.st_atime_ns, status.st_mtime_ns - 3600 * 10**9))
    assert project.snakemake(made, "--dry-run").would_run() == {"targets": 1}

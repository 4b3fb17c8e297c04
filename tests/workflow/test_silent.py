"""Video without sound, from its folder to labels, tables and the report."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import polars as pl
import pytest

from tests.workflow.project import Project
from tests.workflow.test_corpora import QUICK, labelled_clips

MUTE = {"path": "mute", "reader": "folder", "use": ["pretrain"], "audio": False}


@pytest.fixture(scope="module")
def silent(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished run of the workflow on two clips of the demo, whose files have no sound."""
    folder = tmp_path_factory.mktemp("silent")
    (folder / "mute").mkdir()
    for clip in labelled_clips(corpus_folder)[:2]:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-i", clip, "-an", "-c", "copy"]
        subprocess.run([*command, folder / "mute" / clip.name], check=True)
    project = Project(folder, {**QUICK, "corpora": {"mute": MUTE}})
    run = project.snakemake()
    assert "mute: its sound is not read (audio: false). Its faces give labels of activation and emotion." in run.text
    return project


@pytest.mark.workflow
def test_faces_are_labelled_and_nothing_is_made_of_the_sound(silent: Project) -> None:
    made = {path.name for path in (silent.results / "mute").iterdir()}
    assert {"landmarks", "motion", "action_units", "labels_activation", "labels_emotion"} <= made
    assert not {"speech", "log_mel", "labels_energy"} & made
    assert not (silent.results / "pretrain").exists()
    labels = pl.read_parquet(silent.results / "mute/labels_emotion/all.parquet")
    assert len(labels) == 2
    assert pl.read_parquet(silent.results / "mute/rejects/all.parquet").is_empty()
    assert "No model is pre-trained" in (silent.results / "report.html").read_text()


@pytest.mark.workflow
def test_labels_can_be_asked_for_alone_and_nothing_is_left_to_do(silent: Project) -> None:
    for target in ("pseudo_labels", "features", "all"):
        assert silent.snakemake("--dry-run", target).would_run() in ({}, {target: 1})
    for target in ("visemes", "orofacial"):
        run = silent.snakemake("--dry-run", target, check=False)
        assert run.status != 0
        assert "sound" in run.text


@pytest.mark.workflow
def test_sound_that_is_to_be_read_after_all_is_decoded_again(silent: Project, tmp_path: Path) -> None:
    moved = silent.copy(tmp_path / "copy")
    heard = {"mute": {**MUTE, "audio": True}}
    assert {"watch", "speech", "labels_energy"} <= set(moved.snakemake("--dry-run", corpora=heard).would_run())
    run = moved.snakemake(check=False, corpora=heard)
    assert "all 2 clips are refused" in run.text
    assert "corpora.mute.audio: false" in run.text


@pytest.mark.workflow
def test_beside_a_corpus_with_sound_it_is_labelled_and_not_trained_on(
    silent: Project, corpus_folder: Path, tmp_path: Path
) -> None:
    both = silent.copy(tmp_path / "copy")
    corpora = {
        "mute": MUTE,
        "heard": {"path": str(corpus_folder / "labelled"), "reader": "crema_d", "use": ["pretrain"]},
    }
    runs = both.snakemake("--dry-run", corpora=corpora, pretrain={"task_sets": [["emotion"]]}).would_run()
    assert runs["labels_energy"] == runs["speech"] == runs["watch"] == runs["pretrain"] == 1

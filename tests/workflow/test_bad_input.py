"""Bad input: a clear message with the fix, or a row in `rejects` while the run goes on."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from avpretext import shards
from tests.workflow.project import Project, small_config

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 123456\n"


def test_a_misspelt_key_names_the_nearest_right_one(tmp_path: Path) -> None:
    project = Project(tmp_path, small_config())
    run = project.snakemake("--dry-run", check=False, finetunes={"seeds": 3})
    assert run.status != 0
    assert "unknown key 'finetunes'; did you mean 'finetune'?" in run.text
    assert "Traceback" not in run.text


def test_an_empty_corpus_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "demo" / "unlabelled").mkdir(parents=True)
    run = Project(tmp_path, small_config()).snakemake("--dry-run", check=False)
    assert run.status != 0
    assert "unlabelled" in run.text
    assert "Traceback" not in run.text


def test_too_few_speakers_stop_the_run_before_anything_is_decoded(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "talks" / "ann").mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "talks" / "ann" / f"{number}.wav", np.zeros(16_000), 16_000)
    talks = {"path": "talks", "use": ["pretrain"], "video": False}
    project = Project(tmp_path, {"results": "results", "corpora": {"talks": talks}})
    run = project.snakemake(check=False)
    assert run.status != 0
    assert "avpretext: error: pre-training needs 2 speakers" in run.text
    assert "Traceback" not in run.text
    assert not project.results.exists()
    assert project.snakemake("pseudo_labels", "--dry-run").would_run()["labels_energy"] == 1


@pytest.mark.workflow
def test_bad_clips_are_refused_with_their_reasons_and_the_run_goes_on(
    tmp_path: Path, corpus_folder: Path, face_model: Path
) -> None:
    folder, name = tmp_path / "project", sorted((corpus_folder / "unlabelled").glob("*/*.mp4"))[0].parent.name
    speaker = folder / "demo/unlabelled" / name
    shutil.copytree(corpus_folder / "unlabelled" / name, speaker)
    good = next(speaker.glob("*.mp4"))
    shutil.copy2(good, speaker / 'it\'s a "quoted" näme 😀 $(x).mp4')
    (speaker / "empty.mp4").write_bytes(b"")
    (speaker / "text.mp4").write_text("this is no video\n" * 50)
    (speaker / "pointer.mp4").write_text(POINTER)
    (speaker / "truncated.mp4").write_bytes(good.read_bytes()[: good.stat().st_size // 3])
    corpora = {"unlabelled": {"path": "demo/unlabelled", "reader": "folder", "use": ["pretrain"], "shards": 1}}
    config = {"results": "results", "corpora": corpora, "models": {"folder": str(face_model.parent)}}
    project = Project(folder, config)
    project.snakemake("pseudo_labels", rejects={"max_reject_fraction": 0.5})
    rows = shards.read(folder / "results/unlabelled/rejects/all.parquet")
    reasons = {Path(path).name: reason for path, reason in zip(rows["path"], rows["reason"], strict=True)}
    assert reasons["empty.mp4"] == "empty_file"
    assert reasons["text.mp4"] == "not_media"
    assert reasons["pointer.mp4"] == "lfs_pointer"
    assert reasons["truncated.mp4"] in {"not_media", "truncated", "decode_error"}
    assert len(reasons) == 4
    labelled = set(shards.read(folder / "results/unlabelled/labels_emotion/all.parquet")["clip_id"])
    assert any("😀" in clip for clip in labelled), "a clip with an odd name is a clip like any other"
    run = project.snakemake("pseudo_labels", check=False, rejects={"max_reject_fraction": 0.01})
    assert run.status != 0
    assert "max_reject_fraction" in run.text
    assert "empty_file" in run.text

"""Corpora as people have them: a table of one's own, training on one corpus and testing on another, long recordings."""

import csv
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import polars as pl
import pytest
import yaml

from avpretext import shards
from tests.workflow.project import REPOSITORY, Project, small_config

EMOTIONS = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
QUICK = {key: small_config()[key] for key in ("finetune", "evaluate")} | {"results": "results"}


def labelled_clips(corpus_folder: Path) -> list[Path]:
    """Return the labelled clips of the small demo corpus, in CREMA-D's naming."""
    return sorted((corpus_folder / "labelled").rglob("*.mp4"))


def copied_clips(corpus_folder: Path, folder: Path) -> list[Path]:
    """Copy the labelled clips of the small demo corpus into `clips`, without their folders; return the originals."""
    (folder / "clips").mkdir()
    clips = labelled_clips(corpus_folder)
    for clip in clips:
        shutil.copy2(clip, folder / "clips" / clip.name)
    return clips


def own_corpus(corpus_folder: Path, folder: Path) -> dict[str, Any]:
    """Write a corpus with votes and fixed partitions, heard and not looked at; return its options."""
    write_csv(folder / "clips.csv", own_table(copied_clips(corpus_folder, folder)))
    return {
        "path": "clips", "reader": "folder", "table": "clips.csv", "use": ["pretrain", "finetune"], "video": False,
        "shards": 1, "targets": ["seen"], "protocol": {"name": "partitions"}, "synthetic": True,
    }  # fmt: skip


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def own_table(clips: list[Path]) -> list[dict[str, Any]]:
    """Return a table with speaker, label, number, votes and fold of each clip."""
    rows = []
    for clip in clips:
        speaker, _, emotion, _ = clip.stem.split("_")
        votes = {f"seen.{name}": 3 if name == emotion else int(name == "NEU") for name in EMOTIONS}
        part = {0: "test", 1: "dev"}.get(int(speaker) % 4, "train")
        rows.append(
            {"path": clip.name, "speaker": speaker, "mood": emotion, "arousal": EMOTIONS.index(emotion) / 5,
             "valence": len(rows) % 5, **votes, "fold": part}
        )  # fmt: skip
    return rows


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    pl.DataFrame(rows).write_csv(path)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, corpus_folder: Path) -> Project:
    """A finished run on a folder of clips with a table of their labels."""
    folder = tmp_path_factory.mktemp("own")
    clips = copied_clips(corpus_folder, folder)
    rows = own_table(clips)
    write_csv(folder / "clips.csv", [*rows, {**rows[0], "path": "gone.mp4"}])
    shutil.copy2(clips[0], folder / "clips" / "nobody knows.mp4")
    mine = {
        "path": "clips", "reader": "folder", "table": "clips.csv", "use": ["finetune"], "video": False, "shards": 1,
        "targets": ["mood", "seen-distribution", "arousal+valence"], "protocol": {"name": "partitions"},
        "synthetic": True,
    }  # fmt: skip
    project = Project(folder, {**QUICK, "corpora": {"mine": mine}, "export": {"initialisations": []}})
    project.snakemake()
    return project


@pytest.mark.workflow
def test_the_targets_and_the_protocol_are_in_the_name_of_every_result(own: Project) -> None:
    rows = rows_of(own.folder / "results/tables/main.csv")
    assert {(row["target"], row["protocol"]) for row in rows} == {
        ("mood", "partitions"), ("seen-distribution", "partitions"), ("arousal+valence", "partitions"),
    }  # fmt: skip
    assert [row["initialisation"] for row in rows if row["target"] == "mood"] == ["scratch", "svm"]
    scored = {row["target"]: row for row in rows if row["initialisation"] == "scratch"}
    assert not scored["arousal+valence"]["macro_f1"]
    assert scored["mood"]["macro_f1"]
    of_each = rows_of(own.folder / "results/tables/per_class.csv")
    numbers = {row["class"]: float(row["ccc"]) for row in of_each if row["target"] == "arousal+valence"}
    assert list(numbers) == ["arousal", "valence"]
    assert float(scored["arousal+valence"]["ccc"]) == pytest.approx(sum(numbers.values()) / 2, abs=1e-4)
    printed = (own.folder / "results/tables/main.md").read_text("utf-8")
    (cells,) = re.findall(r"\| Initialisation +\| +arousal +\| +valence +\|\n.*\n\| scratch +\|(.*)\|\n", printed)
    of_cells = [float(cell.split()[0].replace("−", "-")) for cell in cells.split("|")]
    assert of_cells == pytest.approx(list(numbers.values()), abs=1e-3)
    assert (
        own.folder / "results/mine/finetune/seen-distribution.partitions/base.mean/scratch/predictions.parquet"
    ).is_file()


@pytest.mark.workflow
def test_a_row_without_its_file_and_a_file_without_its_row_are_refused(own: Project) -> None:
    reasons = {row["path"]: row["reason"] for row in rows_of(own.folder / "results/tables/rejects_clips.csv")}
    assert reasons == {"gone.mp4": "missing_file", "nobody knows.mp4": "unlisted"}


@pytest.mark.workflow
def test_an_edited_label_decodes_nothing_again(own: Project, tmp_path: Path) -> None:
    project = own.copy(tmp_path / "copy")
    table = pl.read_csv(project.folder / "clips.csv")
    first = table.filter(pl.col("mood") == "ANG")["path"][0]
    changed = pl.when(pl.col("path") == first).then(pl.lit("HAP")).otherwise("mood").alias("mood")
    table.with_columns(changed).write_csv(project.folder / "clips.csv")
    runs = project.snakemake("--dry-run").would_run()
    assert runs["targets"] == 3
    assert {"folds", "finetune", "baseline", "evaluate", "tables"} <= set(runs)
    assert not {"index", "watch", "split_audio", "speech", "functionals"} & set(runs)


@pytest.mark.workflow
def test_another_target_redoes_what_is_learnt_and_nothing_before(own: Project, tmp_path: Path) -> None:
    project = own.copy(tmp_path / "copy")
    mine = {**project.config["corpora"]["mine"], "targets": ["mood", "seen"]}
    runs = project.snakemake("--dry-run", corpora={"mine": mine}).would_run()
    assert runs["targets"] == runs["folds"] == runs["finetune"] == runs["evaluate"] == 1
    assert not {"index", "split_audio", "speech", "functionals"} & set(runs)


@pytest.mark.workflow
def test_a_speaker_in_two_parts_stops_the_run_with_the_fix(own: Project, tmp_path: Path) -> None:
    project = own.copy(tmp_path / "copy")
    table = pl.read_csv(project.folder / "clips.csv")
    train = table.filter(pl.col("fold") == "train")["path"][0]
    moved = pl.when(pl.col("path") == train).then(pl.lit("test")).otherwise("fold").alias("fold")
    table.with_columns(moved).write_csv(project.folder / "clips.csv")
    run = project.snakemake(check=False)
    assert run.status != 0
    assert "allow_speaker_leaks" in run.text
    assert "finetune" not in run.would_run()


@pytest.mark.workflow
def test_one_corpus_is_trained_on_and_another_tested(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "copy")
    (project.folder / "second").mkdir()
    clips = labelled_clips(project.folder / "demo")[::2]  # some of every speaker, so that each part keeps some
    rows = [{**row, "mood": row["mood"].lower()} for row in own_table(clips)]
    for clip in clips:
        shutil.copy2(clip, project.folder / "second" / clip.name)
    # The same audio is in both corpora: what is tested must be taken out of training.
    write_csv(project.folder / "clips.csv", [{key: row[key] for key in ("path", "speaker", "mood")} for row in rows])
    capitals = {name.lower(): name for name in EMOTIONS}
    corpora = {
        "labelled": {**project.config["corpora"]["labelled"], "use": []},
        "second": {
            "path": "second", "reader": "folder", "table": "clips.csv", "use": ["finetune"], "video": False,
            "shards": 1, "label_map": capitals, "protocol": {"name": "cross_corpus", "train": ["labelled"]},
            "synthetic": True,
        },
    }  # fmt: skip
    project.snakemake("results/tables/main.csv", corpora=corpora, pretrain={})
    folds = shards.read(project.results / "second/folds/mood-mapped.cross_corpus.parquet")
    parts = {(part, corpus): names.height for (part, corpus), names in folds.group_by("part", "corpus") if names.height}
    assert parts["test", "second"] == 12
    assert parts["dropped", "labelled"] == 12
    assert {corpus for part, corpus in parts if part in ("train", "dev")} == {"labelled"}
    row = rows_of(project.results / "tables/main.csv")[0]
    assert (row["corpus"], row["target"], row["protocol"], row["clips"]) == (
        "second", "mood-mapped", "cross_corpus", "12",
    )  # fmt: skip


@pytest.mark.workflow
def test_a_long_recording_becomes_clips_like_any_other(tmp_path: Path, corpus_folder: Path, face_model: Path) -> None:
    speakers = sorted(path for path in (corpus_folder / "unlabelled").iterdir() if path.is_dir())
    for speaker in speakers[:2]:
        (tmp_path / "talks" / speaker.name).mkdir(parents=True)
        join(sorted(speaker.glob("*.mp4"))[:3], tmp_path / "talks" / speaker.name / "talk.mp4")
    talks = {"path": "talks", "reader": "folder", "use": ["pretrain"], "segment": True, "shards": 1}
    config = {
        "results": "results", "models": {"folder": str(face_model.parent)}, "corpora": {"talks": talks},
        "segment": {"by": "speech", "min_s": 0.5, "max_s": 3.0},
    }  # fmt: skip
    project = Project(tmp_path, config)
    project.snakemake("pseudo_labels")
    clips = shards.read(sorted((tmp_path / "results/talks/segment").glob("*.parquet")))
    assert clips.height >= 4
    assert set(clips["recording"]) == {f"{speaker.name}/talk" for speaker in speakers[:2]}
    assert (clips["end_s"] - clips["start_s"]).max() <= 3.3
    audio = shards.read(sorted((tmp_path / "results/talks/split/audio").glob("*.parquet")), ["clip_id", "duration_s"])
    both = audio.join(clips, on="clip_id")
    assert both.height == clips.height
    assert (both["duration_s"] - (both["end_s"] - both["start_s"])).abs().max() < 0.05
    labels = shards.read(tmp_path / "results/talks/labels_emotion/all.parquet")
    assert set(labels["clip_id"]) <= set(clips["clip_id"])
    assert labels.height > 0


def join(clips: list[Path], output: Path) -> None:
    """Join clips into one video, re-encoded."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y"]
    for clip in clips:
        command += ["-i", str(clip)]
    streams = "".join(f"[{number}:v][{number}:a]" for number in range(len(clips)))
    command += ["-filter_complex", f"{streams}concat=n={len(clips)}:v=1:a=1[v][a]", "-map", "[v]", "-map", "[a]"]
    subprocess.run([*command, str(output)], check=True)


def test_the_published_experiment_can_be_planned_where_its_corpora_are(tmp_path: Path, shared_data: Path) -> None:
    names = shared_data / "crema-d" / "SentenceFilenames.csv"
    if not names.is_file():
        pytest.skip("CREMA-D's list of file names is absent")
    audio, videos, documents, labels = (
        tmp_path / "data" / name for name in ("CREMA-D/AudioWAV", "MSP-Face", "MSP-Face/Doc", "MSP-Face/Labels")
    )
    for folder in (audio, videos, documents, labels):
        folder.mkdir(parents=True, exist_ok=True)
    for name in pl.read_csv(names)["Filename"]:
        (audio / f"{name}.wav").write_bytes(b"RIFF")
    (videos / "MSP-FACE_0001.mp4").write_bytes(b"video")
    clips = [f"MSP-FACE_0001_{number:04d}.mp4" for number in range(1, 1001)]
    listed = "".join(f"{4 * number}.0\t{4 * number + 3}.5\t{clip}\n" for number, clip in enumerate(clips))
    (documents / "segments_data.txt").write_text(listed)
    (documents / "speaker_id_segments.txt").write_text(
        "".join(f"{clip},Speaker_{number % 2}\n" for number, clip in enumerate(clips))
    )
    (labels / "label_consensus.json").write_text(
        json.dumps({clips[0]: [{"EmoClass_Major": "H", "Split_Set": "Train"}]})
    )
    config = yaml.safe_load((REPOSITORY / "examples/goncalves2022/config.yaml").read_text())
    runs = Project(tmp_path, config).snakemake("--dry-run").would_run()
    assert runs["finetune"] == 8  # scratch and seven sets of tasks
    assert runs["pretrain"] == 7
    assert runs["watch"] == 100
    assert runs["split_audio"] == 38

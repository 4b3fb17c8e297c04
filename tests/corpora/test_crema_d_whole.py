"""CREMA-D as a whole: 7,442 file names through index, targets and folds come out as the corpus is published."""

import os
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from avpretext import shards
from avpretext.config import CorpusOptions
from avpretext.corpora import folds, index, settings_of, targets
from avpretext.corpora.readers import crema_d
from avpretext.flow.artefacts import schema_of

SHARDS = 2


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> CorpusOptions:
    """A tree with a sound file of every published name, and the published votes beside."""
    votes, names = (shared_data / "crema-d" / name for name in (crema_d.VOTES, "SentenceFilenames.csv"))
    if not (votes.is_file() and names.is_file()):
        pytest.skip("CREMA-D's annotations are absent")
    folder = tmp_path_factory.mktemp("CREMA-D")
    (folder / "AudioWAV").mkdir()
    (folder / "sound").write_bytes(bytes(2000))  # of a size that is no pointer of Git LFS
    for name in pl.read_csv(names)["Filename"]:
        os.link(folder / "sound", folder / "AudioWAV" / f"{name}.wav")
    (folder / crema_d.VOTES).symlink_to(votes)
    return CorpusOptions.model_validate(
        {"path": str(folder), "reader": "crema_d", "use": ["finetune"], "video": False, "shards": SHARDS,
         "targets": ["acted", "voice"], "protocol": {"name": "chou"}}
    )  # fmt: skip


@pytest.fixture(scope="module")
def clips(corpus: CorpusOptions, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("index")
    for shard in range(SHARDS):
        index.run(corpus, shard, folder / f"{shard:04d}.parquet", folder / "rejects" / f"{shard:04d}.parquet")
    return sorted(folder.glob("*.parquet"))


def test_clips_speakers_and_classes_are_those_published(clips: list[Path]) -> None:
    listed = shards.read(clips)
    refused = shards.read(sorted((clips[0].parent / "rejects").glob("*.parquet")))
    assert (len(listed), set(refused["clip_id"])) == (7438, crema_d.READER.broken)
    assert len(listed) + len(refused) == 7442
    acted = Counter(listed["label"]) + Counter(name.split("_")[2] for name in refused["clip_id"])
    assert acted == {"ANG": 1271, "DIS": 1271, "FEA": 1271, "HAP": 1271, "NEU": 1087, "SAD": 1271}
    speakers = Counter(listed["speaker"])
    assert sorted(speakers) == [str(actor) for actor in range(1001, 1092)]
    assert Counter(speakers.values()).most_common(1)[0][0] == 82
    assert listed["sentence"].n_unique() == 12


def test_voice_labels_and_chous_folds_are_those_published(
    corpus: CorpusOptions, clips: list[Path], tmp_path: Path
) -> None:
    settings = settings_of(corpus)
    assert [setting.name for setting in settings] == ["acted.chou", "voice.chou"]
    table, audio, output = (tmp_path / f"{name}.parquet" for name in ("voice", "audio", "folds"))
    targets.run(corpus, "voice", clips, table)
    listed = shards.read(clips)
    heard = listed.select("clip_id", "speaker", "label", pl.col("clip_id").alias("content")).with_columns(
        duration_s=1.0, samples=16_000, audio=None, video_frames=0, fps=25.0
    )
    shards.write_table(audio, heard.to_dicts(), schema_of("split.audio"), {})
    folds.run("crema_d", corpus, "voice.chou", {"crema_d": clips}, {"crema_d": table}, {"crema_d": [audio]}, 1, output)
    labelled = shards.read(table).drop_nulls("label")
    assert Counter(labelled["label"]).most_common(1)[0][0] == "NEU"
    rows = shards.read(output)
    tested = rows.filter(pl.col("part") == "test")
    assert tested["clip_id"].is_duplicated().sum() == 0
    assert set(tested["clip_id"]) == set(labelled["clip_id"])
    sessions = [{str(actor) for actor in crema_d.SESSIONS[number]} for number in (5, 1, 2, 3, 4)]
    for fold, session in enumerate(sessions):
        of_fold = tested.filter(pl.col("fold") == fold)
        assert set(of_fold["speaker"]) == session
        trained = rows.filter(pl.col("fold") == fold, pl.col("part") == "train")
        assert len(trained) + len(of_fold) + rows.filter(pl.col("fold") == fold, pl.col("part") == "dev").height == len(
            labelled
        )

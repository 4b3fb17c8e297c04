"""A corpus of three clips, with every shard that other tools are given, worked out by hand."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from avpretext import config_file, shards
from avpretext.config import Config
from avpretext.flow.artefacts import schema_of
from avpretext.flow.paths import Layout

CLASSES = ["ANG", "SAD"]
CLIPS = {"anna/one": ("anna", "ANG", 1.5), "anna/two": ("anna", "SAD", 1.0), "ben/it's": ("ben", "ANG", 2.0)}


def flac(seconds: float) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.linspace(-0.5, 0.5, round(16_000 * seconds)), 16_000, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def target_rows(values: list[list[float]], votes: list[list[float] | None]) -> list[dict[str, object]]:
    return [
        {"clip_id": clip, "speaker": who, "label": label, "values": value, "votes": vote}
        for (clip, (who, label, _)), value, vote in zip(CLIPS.items(), values, votes, strict=True)
    ]


def write_faces(layout: Layout, corpus: str, stage: str, measured: str) -> None:
    """Write three frames of two clips at 25 fps, the last without a face; the third clip was refused."""
    schema = schema_of(stage)
    empty = dict.fromkeys(schema.names)
    rows = []
    for clip in ("anna/one", "anna/two"):
        for frame in range(3):
            found = frame < 2
            value = ([frame + 0.5] * 1434 if measured == "landmarks" else frame / 4) if found else None
            there = {"detected": found, "width": 64, "height": 48} if stage == "landmarks" else {}
            rows.append({**empty, "clip_id": clip, "frame": frame, "time_s": frame / 25, measured: value, **there})
    shards.write_table(layout.path(stage, corpus=corpus, shard=0), rows, schema, {})


def write_corpus(folder: Path, name: str) -> Config:
    """Write the shards of a corpus below `folder/results`, and return its configuration."""
    corpus = {
        "path": str(folder), "reader": "crema_d", "use": ["pretrain", "finetune"],
        "targets": ["acted", "voice-distribution"], "protocol": {"folds": 3},
    }  # fmt: skip
    settings = config_file.parse({"results": str(folder / "results"), "corpora": {name: corpus}})
    layout = Layout(settings.results)
    people = '"ActorID","Age","Sex","Race","Ethnicity"\nanna,51,"Female","x","y"\nzoe,20,"Male","x","y"\n'
    (folder / "VideoDemographics.csv").write_text(people)
    empty = dict.fromkeys(schema_of("index").names)
    index = [
        {**empty, "clip_id": clip, "path": f"{clip}.mp4", "speaker": who, "sentence": "DFA", "size_bytes": 1}
        for clip, (who, _, _) in CLIPS.items()
    ]
    index[1] |= {"recording": "long", "start_s": 61.25, "end_s": 62.25}
    shards.write_table(layout.path("index", corpus=name, shard=0), index, schema_of("index"), {})
    audio = [
        {"clip_id": clip, "speaker": who, "label": label, "duration_s": length, "samples": round(16_000 * length),
         "content": clip, "audio": {"bytes": flac(length), "path": f"{clip}.flac"}, "video_frames": 0, "fps": 25.0}
        for clip, (who, label, length) in CLIPS.items()
    ]  # fmt: skip
    shards.write_table(layout.path("split.audio", corpus=name, shard=0), audio, schema_of("split.audio"), {})
    chunks = [
        dict(zip(schema_of("labels_energy").names, row, strict=True))
        for row in (
            ("anna/one", 0, 0.0, 1.0, 2.5, 0, 0.25, 3.0),
            ("anna/one", 1, 0.21, 1.21, 3.5, 1, 0.5, 3.0),
            ("ben/it's", 0, 0.0, 2.0, None, None, None, 3.0),
            ("ben/it's", 1, 0.0, 2.0, None, None, None, 3.0),
        )
    ]
    for task in ("energy", "activation"):
        made_by = {"stage": f"labels_{task}"}
        shards.write_table(layout.path(f"labels_{task}", corpus=name), chunks, schema_of("labels_energy"), made_by)
    for stage, more in (("landmarks", "landmarks"), ("action_units", "AU12")):
        write_faces(layout, name, stage, more)
    emotion_schema = schema_of("labels_emotion", {"score_*": [f"score_{name}" for name in CLASSES]})
    emotion = [
        dict(zip(emotion_schema.names, row, strict=True))
        for row in (
            ("anna/one", "labelled", "ANG", 0.75, 0.5, "speaker", 9.0, 0.8, 0.75, 0.25),
            ("anna/two", "unmeasured", None, None, None, "clip", 0.0, 0.4, None, None),
        )
    ]
    shards.write_table(layout.path("labels_emotion", corpus=name), emotion, emotion_schema, {})
    acted = target_rows([[1, 0], [0, 1], [1, 0]], [None, None, None])
    made_by = {"kind": "hard", "classes": CLASSES}
    shards.write_table(layout.path("targets", corpus=name, target="acted"), acted, schema_of("targets"), made_by)
    shares = target_rows([[0.75, 0.25], [0, 1], [0.5, 0.5]], [[3, 1], [0, 2], [2, 2]])
    made_by = {"kind": "distribution", "classes": CLASSES}
    shards.write_table(
        layout.path("targets", corpus=name, target="voice-distribution"), shares, schema_of("targets"), made_by
    )
    parts = {"anna/one": "train", "anna/two": "dropped", "ben/it's": "test"}
    folds = [
        {"fold": 0, "name": "1", "part": part, "corpus": corpus, "clip_id": clip, "speaker": None}
        for corpus in (name, "other") for clip, part in parts.items()
    ]  # fmt: skip
    for setting in ("acted.speaker_kfold", "voice-distribution.speaker_kfold"):
        shards.write_table(layout.path("folds", corpus=name, setting=setting), folds, schema_of("folds"), {})
    return settings


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Return the configuration of a corpus `mine` of three clips."""
    return write_corpus(tmp_path_factory.mktemp("mine"), "mine")

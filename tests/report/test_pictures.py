"""Which faces stand for a label: chosen by hand-worked numbers."""

import base64
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.evaluation.open_run import OpenRun
from avpretext.flow.artefacts import schema_of
from avpretext.flow.columns import ACTION_UNITS
from avpretext.flow.paths import Layout
from avpretext.flow.provenance import provenance
from avpretext.labels.emotion_table import read_table
from avpretext.report.au_faces import PICTURES, apex, emotion_pictures, heat_rows, surest
from avpretext.report.clip import strongest

TABLE = read_table(None)


def frame(**units: float) -> NDArray[np.float64]:
    return np.array([units.get(unit, 0.0) for unit in ACTION_UNITS])


SMILE, GRIN, CALM, SPEECH = frame(AU12=0.5), frame(AU06=0.8, AU12=0.9), frame(), frame(AU25=0.9, AU26=0.9)
SEVERAL = np.stack([SMILE, GRIN, CALM, SPEECH])


def test_the_apex_fits_the_prototype_best_and_neutral_is_the_calmest() -> None:
    assert apex(TABLE, "HAP", SEVERAL) == 1
    assert apex(TABLE, "NEU", SEVERAL) == 2
    assert apex(None, "HAP", SEVERAL) == 2


def test_a_frame_in_a_gap_is_never_the_apex() -> None:
    gap = np.full((1, len(ACTION_UNITS)), np.nan)
    assert apex(TABLE, "HAP", np.concatenate([gap, SEVERAL])) == 2
    assert apex(TABLE, "NEU", np.concatenate([gap, SEVERAL])) == 3


def test_the_surest_clips_are_of_different_speakers() -> None:
    clips = [("a1", 0.5), ("a2", 0.9), ("b1", 0.7), ("x", 0.7), ("y", 0.6), ("c1", 0.1)]
    speakers = {"a1": "a", "a2": "a", "b1": "b", "x": None, "c1": "c"}
    chosen = surest(clips, speakers)
    assert chosen == [("a2", 0.9), ("b1", 0.7), ("x", 0.7)]
    assert len(chosen) == PICTURES


def test_captions_name_the_strongest_units_and_leave_out_the_weak_and_the_unknown() -> None:
    units = frame(AU01=0.31, AU04=0.9, AU07=0.5, AU12=0.29, AU25=0.5, AU26=0.4)
    units[ACTION_UNITS.index("AU43")] = np.nan
    found = strongest(dict(zip(ACTION_UNITS, units, strict=True)), 4)
    assert found == [
        ("AU04", 0.9),
        ("AU07", 0.5),
        ("AU25", 0.5),
        ("AU26", 0.4),
    ]
    assert strongest(dict(zip(ACTION_UNITS, CALM, strict=True)), 4) == []


@pytest.fixture
def corpus(tmp_path: Path) -> Config:
    """Two clips of one speaker and one of another, labelled HAP; of one more the thumbnails are missing."""
    config = parse({"results": str(tmp_path), "corpora": {"one": {"path": ".", "use": ["pretrain"], "shards": 2}}})
    layout = Layout(tmp_path)
    clips = {"a1": ("a", 0.9), "a2": ("a", 0.5), "b1": ("b", 0.4), "c1": ("c", 1.0)}
    for number, names in enumerate((("a1", "b1"), ("a2", "c1"))):
        rows = [
            {"clip_id": name, "frame": 10 * k, "time_s": 10 * k / 25, "image": {"bytes": f"{name}{k}".encode()}}
            | dict(zip(ACTION_UNITS, values.tolist(), strict=True))
            for name in names
            for k, values in enumerate(SEVERAL)
        ]
        kept = [row for row in rows if row["clip_id"] != "c1"]
        shards.write_table(layout.path("action_units", corpus="one", shard=number), rows, schema_of("action_units"), {})
        shards.write_table(
            layout.path("landmarks.thumbnails", corpus="one", shard=number), kept, schema_of("landmarks.thumbnails"), {}
        )
        index = [{"clip_id": name, "speaker": clips[name][0]} for name in names]
        shards.write_table(layout.path("index", corpus="one", shard=number), index, schema_of("index"), {})
    labels = [{"clip_id": name, "label": "HAP", "confidence": sure} for name, (_, sure) in clips.items()]
    made_by = provenance("labels_emotion", table=TABLE.model_dump(mode="json"))
    shards.write_table(
        layout.path("labels_emotion", corpus="one"),
        labels,
        schema_of("labels_emotion", {"score_*": [f"score_{name}" for name in []]}),
        made_by,
    )
    return config


def test_pictures_are_the_best_frames_of_the_surest_clips_that_have_some(corpus: Config) -> None:
    ((label, clips, pictures),) = emotion_pictures(OpenRun(corpus), "one")
    assert (label, clips) == ("HAP", 4)
    found = [(one.clip_id, one.speaker, one.time_s, base64.b64decode(one.image)) for one in pictures]
    assert found == [("a1", "a", 0.4, b"a11"), ("b1", "b", 0.4, b"b11")]
    assert [unit for unit, _ in pictures[0].units] == ["AU12", "AU06"]


def test_without_thumbnails_there_are_no_pictures(corpus: Config) -> None:
    for path in Path(corpus.results, "one", "landmarks", "thumbnails").iterdir():
        path.unlink()
    assert list(emotion_pictures(OpenRun(corpus), "one")) == []


def test_heat_is_relative_to_the_strongest_and_shows_what_is_unknown() -> None:
    rows = [
        {"label": label, "clips": clips, "action_unit": unit, "clip_intensity": value}
        for label, clips, values in (("all", "3", ("0.3000", "")), ("HAP", "1", ("0.6000", "")))
        for unit, value in zip(("AU12", "AU24"), values, strict=True)
    ]
    (first, clips, cells), (last, _, _) = heat_rows(rows)
    assert (first, clips, last) == ("HAP", 1, "all")
    assert cells[ACTION_UNITS.index("AU12")] == (0.6, 1.0)
    assert cells[ACTION_UNITS.index("AU24")] is None

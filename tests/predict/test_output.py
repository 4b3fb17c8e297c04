"""Predictions written: the right columns for each kind of target, and formats that others read."""

import csv
import io
import json
from typing import Any

import numpy as np
import pytest

from avpretext.corpora.settings import Kind
from avpretext.predict.output import WRITERS, Format
from avpretext.predict.result import Prediction, Refused

NAMES = ("angry", "happy", "sad")
SPEECH = np.array([0.75, 0.125], np.float32)


def prediction(kind: Kind = "hard", source: str = "a b.wav") -> Prediction:
    values = [[0.1, 0.7, 0.2], [0.6, 0.55, 0.1]] if kind != "attribute" else [[2.345], [-1.0]]
    names = NAMES if kind != "attribute" else ("arousal",)
    return Prediction(
        source, kind, names, np.array([0.0, 1.0]), np.array([3.0, 3.5]), np.array(values, np.float32), SPEECH
    )


def written(format: Format, *said: Prediction | Refused, kind: Kind = "hard") -> str:
    stream = io.StringIO()
    writer = WRITERS[format](stream, kind, prediction(kind).names)
    writer.begin([one.source for one in said])
    for one in said:
        writer.write(one)
    writer.end()
    return stream.getvalue()


@pytest.mark.parametrize(
    ("kind", "words"),
    [("hard", ["happy", "angry"]), ("distribution", ["happy", "angry"]), ("multi_label", ["happy", "angry+happy"])],
)
def test_csv_has_a_column_for_each_class_and_one_in_words(kind: Kind, words: list[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv", prediction(kind), kind=kind))))
    assert list(rows[0]) == ["file", "start_s", "end_s", "speech", "predicted", *NAMES, "reason", "detail"]
    assert [row["predicted"] for row in rows] == words
    assert [float(rows[1][name]) for name in NAMES] == [0.6, 0.55, 0.1]
    assert (rows[1]["file"], rows[1]["start_s"], rows[1]["end_s"]) == ("a b.wav", "1.00", "3.50")


def test_an_attribute_has_its_value_and_no_words() -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv", prediction("attribute"), kind="attribute"))))
    assert list(rows[0]) == ["file", "start_s", "end_s", "speech", "arousal", "reason", "detail"]
    assert [row["arousal"] for row in rows] == ["2.3450", "-1.0000"]
    assert "predicted" not in json.loads(written("json", prediction("attribute"), kind="attribute"))[0]
    assert "2.345" in written("table", prediction("attribute"), kind="attribute")


def test_a_refused_file_is_a_row_with_its_reason() -> None:
    refused = Refused("bad\n.mp4", "truncated", "1.50 s of the 3.00 s")
    rows = list(csv.DictReader(io.StringIO(written("csv", refused, prediction()))))
    assert (rows[0]["file"], rows[0]["reason"], rows[0]["angry"]) == ("bad\\n.mp4", "truncated", "")
    objects = json.loads(written("json", refused, prediction()))
    assert objects[0] == {"file": "bad\\n.mp4", "reason": "truncated", "detail": "1.50 s of the 3.00 s"}
    assert "truncated: 1.50 s of the 3.00 s" in written("table", refused)


def test_json_is_one_array_even_of_nothing() -> None:
    objects: list[dict[str, Any]] = json.loads(written("json", prediction()))
    assert objects[0]["probabilities"] == {"angry": 0.1, "happy": 0.7, "sad": 0.2}
    assert json.loads(written("json")) == []


def test_the_table_is_aligned_and_shortens_long_names() -> None:
    lines = written("table", prediction(source="x/" + "long " * 30 + "end.wav"), prediction()).splitlines()
    assert len({line.index(word) for line, word in zip(lines[1:3], ("happy", "angry"), strict=True)}) == 1
    assert all(len(line) < 110 for line in lines)
    assert lines[1].split("  ")[0].endswith("end.wav")


def test_a_multi_label_clip_of_no_class_is_a_dash_in_the_table() -> None:
    none = Prediction(
        "a.wav", "multi_label", NAMES, np.zeros(1), np.ones(1), np.full((1, 3), 0.2, np.float32), SPEECH[:1]
    )
    assert none.label == ""
    assert written("table", none, kind="multi_label").splitlines()[1].split()[4] == "-"

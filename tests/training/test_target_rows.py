"""Targets of several corpora become one; what counts as having a class."""

from pathlib import Path

import numpy as np
import pytest

from avpretext import shards
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.training.target_rows import has_classes, in_words, read_targets


def table(
    path: Path,
    kind: str,
    classes: list[str],
    values: dict[str, list[float] | None],
    votes: dict[str, list[float]] | None = None,
) -> Path:
    rows = [
        {"clip_id": clip_id, "speaker": "s", "label": "it" if known else None, "values": known}
        | {"votes": (votes or {}).get(clip_id)}
        for clip_id, known in values.items()
    ]
    made_by = provenance("targets", {}, kind=kind, classes=classes, target=path.stem)
    shards.write_table(path, rows, schema_of("targets"), made_by)
    return path


def test_values_stand_at_the_sorted_classes_of_all_corpora(tmp_path: Path) -> None:
    first = table(tmp_path / "a.parquet", "distribution", ["sad", "angry"], {"x": [0.25, 0.75], "y": None})
    second = table(tmp_path / "b.parquet", "distribution", ["calm", "sad"], {"x": [0.5, 0.5]})
    known = read_targets({"two": second, "one": first})
    assert known.classes == ["angry", "calm", "sad"]
    assert {name: values.tolist() for name, values in known.values.items()} == {
        "one/x": [0.75, 0.0, 0.25],
        "two/x": [0.0, 0.5, 0.5],
    }
    assert known.names == {"one": "a", "two": "b"}
    assert known.values_of(["two/x", "one/x"])[:, 1].tolist() == [0.5, 0.0]


def test_votes_stand_at_the_classes_of_all_corpora_and_clips_without_votes_have_none(tmp_path: Path) -> None:
    first = table(
        tmp_path / "a.parquet",
        "hard",
        ["sad", "angry"],
        {"x": [1, 0], "y": [0, 1], "z": None},
        {"x": [3, 1], "z": [2, 2]},
    )
    second = table(tmp_path / "b.parquet", "hard", ["calm", "sad"], {"x": [1, 0]}, {"x": [5, 0]})
    known = read_targets({"one": first, "two": second})
    assert {name: votes.tolist() for name, votes in known.votes.items()} == {"one/x": [1, 0, 3], "two/x": [0, 5, 0]}


def test_what_cannot_be_learnt_together_is_an_error(tmp_path: Path) -> None:
    hard = table(tmp_path / "hard.parquet", "hard", ["a", "b"], {"x": [1, 0]})
    shares = table(tmp_path / "shares.parquet", "distribution", ["a", "b"], {"x": [1, 0]})
    with pytest.raises(UserError, match="these are: one hard, two distribution"):
        read_targets({"one": hard, "two": shares})
    single = table(tmp_path / "single.parquet", "hard", ["a"], {"x": [1]})
    with pytest.raises(UserError, match="all labelled clips are 'a'; at least two classes"):
        read_targets({"one": single})
    with pytest.raises(UserError, match="no clip of one has a label"):
        read_targets({"one": table(tmp_path / "none.parquet", "hard", [], {"x": None})})
    arousal, valence = (table(tmp_path / f"{name}.parquet", "attribute", [name], {"x": [1]}) for name in "av")
    with pytest.raises(UserError, match="a, v are different attributes"):
        read_targets({"one": arousal, "two": valence})


@pytest.mark.parametrize("count", range(2, 12))
def test_a_share_of_exactly_one_in_all_classes_counts(count: int) -> None:
    shares = np.zeros((1, count), np.float32)
    shares[0, 0], shares[0, 1] = 1 / count, 1 - 1 / count
    assert has_classes(shares, "distribution")[0].tolist() == [True, True] + [False] * (count - 2)
    assert not has_classes(shares * np.float32(0.99), "distribution")[0, 0]


def test_every_kind_is_put_into_its_words() -> None:
    values = np.array([0.5, 0.3, 0.2], np.float32)
    classes = ["a", "b", "c"]
    assert in_words(values, classes, "hard") == "a"
    assert in_words(values[::-1], classes, "distribution") == "c"
    assert in_words(values, classes, "multi_label") == "a"
    assert in_words(values * 0.9, classes, "multi_label") == ""
    assert in_words(np.array([3.5], np.float32), ["arousal"], "attribute") is None
    assert has_classes(values[None], "hard").tolist() == [[True, False, False]]

"""Folds are read as they were written; dropped clips are nowhere."""

from pathlib import Path

import numpy as np
import pytest

from avpretext import shards
from avpretext.errors import UserError
from avpretext.flow import schemas
from avpretext.training.fold_parts import read_folds


def table(path: Path, rows: list[tuple[int, str, str, str, str | None]], **made_by: object) -> Path:
    named = [dict(zip(("fold", "part", "corpus", "clip_id", "speaker"), row, strict=True)) for row in rows]
    shards.write_table(path, [{"name": "it", **row} for row in named], schemas.FOLDS, made_by)
    return path


ROWS = [
    (1, "test", "b", "2", "s"),
    (0, "train", "a", "1", "s"),
    (0, "train", "a", "3", None),
    (0, "test", "b", "1", "t"),
    (0, "dropped", "a", "2", "u"),
    (1, "train", "a", "1", "s"),
    (1, "train", "b", "1", "t"),
    (1, "dev", "a", "3", None),
]


def test_parts_rows_and_clips(tmp_path: Path) -> None:
    found = read_folds(table(tmp_path / "voice.chou.parquet", ROWS, sentence="So.", speaker_leaks=True, other=1))
    assert [fold.number for fold in found.folds] == [0, 1]
    assert found.folds[0].parts == {"train": {"a/1", "a/3"}, "dev": frozenset(), "test": {"b/1"}}
    assert [clip.key for clip in found.clips] == ["a/1", "a/3", "b/1", "b/2"]
    assert found.speakers_of("a") == {"1": "s", "3": "3"}
    assert found.tested() == ["b"]
    assert (found.setting, found.notes) == ("voice.chou", {"sentence": "So.", "speaker_leaks": True})
    rows = found.folds[1].rows(["b/2", "a/3", "c/1", "b/1", "a/1"])
    assert {part: places.tolist() for part, places in rows.items()} == {"train": [3, 4], "dev": [1], "test": [0]}
    assert all(places.dtype == np.int64 for places in rows.values())


def test_a_fold_that_cannot_be_learnt_or_tested_is_an_error(tmp_path: Path) -> None:
    found = read_folds(table(tmp_path / "folds.parquet", ROWS))
    with pytest.raises(UserError, match="fold 0 has 1 training clips and 1 test clips"):
        found.folds[0].rows(["a/1", "b/1"])
    with pytest.raises(UserError, match="fold 0 has 2 training clips and 0 test clips"):
        found.folds[0].rows(["a/1", "a/3"])
    with pytest.raises(UserError, match="no fold has a clip"):
        read_folds(table(tmp_path / "empty.parquet", ROWS[4:5]))

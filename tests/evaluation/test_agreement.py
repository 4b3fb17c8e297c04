"""How labels of the tasks go together: coefficients and counts worked out by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avpretext import shards
from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.evaluation.agreement import agreement_rows, agreements, cohens_kappa, cramers_v
from avpretext.evaluation.label_counts import speaker_rows
from avpretext.evaluation.open_run import OpenRun
from avpretext.flow import schemas
from avpretext.flow.paths import Layout


def test_cramers_v_of_a_table_worked_out_by_hand() -> None:
    # Rows 40, 40, columns 30, 30, 20: expected 15, 15, 10 in each row; chi² = 2 (25/15 + 100/15 + 25/10) = 21.667.
    counts = np.array([[20, 5, 15], [10, 25, 5]])
    assert cramers_v(counts) == pytest.approx(np.sqrt((2 * (25 / 15 + 100 / 15 + 25 / 10)) / 80))
    assert cramers_v(counts.T) == pytest.approx(cramers_v(counts))


def test_cramers_v_is_one_where_one_label_follows_from_the_other_and_knows_no_empty_labels() -> None:
    assert cramers_v(np.diag([3, 5, 9])) == pytest.approx(1)
    assert cramers_v(np.array([[3, 0, 0], [0, 5, 0]])) == pytest.approx(1)
    assert np.isnan(cramers_v(np.array([[3, 4], [0, 0]])))


def test_cramers_v_of_two_by_two_is_the_size_of_the_correlation() -> None:
    counts = np.array([[12, 3], [5, 9]])
    one, other = np.repeat([1, 1, 0, 0], counts.ravel()), np.repeat([1, 0, 1, 0], counts.ravel())
    assert cramers_v(counts) == pytest.approx(abs(np.corrcoef(one, other)[0, 1]))


def test_kappa_is_agreement_beyond_chance() -> None:
    # Agreement .7; chance .5 * .6 + .5 * .4 = .5; (.7 - .5) / (1 - .5) = .4 (the example of most textbooks).
    assert cohens_kappa(np.array([[20, 5], [10, 15]])) == pytest.approx(0.4)
    assert cohens_kappa(np.array([[0, 10], [10, 0]])) == pytest.approx(-1)
    assert np.isnan(cohens_kappa(np.array([[7, 0], [0, 0]])))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Three clips of two speakers: chunks h h / h l / l -, of activation h l / h l / l l; one clip has no emotion."""
    corpora = {"mine": {"path": ".", "reader": "folder", "use": ["pretrain"], "shards": 1}}
    found = parse({"results": str(tmp_path), "corpora": corpora})
    layout = Layout(tmp_path)
    clips = [{"clip_id": name, "speaker": name[0], "path": f"{name}.mp4"} for name in ("a1", "a2", "b1")]
    _write(layout.shard("mine", "index", 0), clips, schemas.INDEX)
    energy = {"a1": (1, 1), "a2": (1, 0), "b1": (0, None)}
    activation = {"a1": (1, 0), "a2": (1, 0), "b1": (0, 0)}
    for task, labels in (("energy", energy), ("activation", activation)):
        rows = [
            {"clip_id": clip, "chunk": chunk, "value": 1.0, "label": label, "threshold": 0.5}
            for clip, given in labels.items()
            for chunk, label in enumerate(given)
        ]
        _write(layout.corpus("mine", f"labels_{task}"), rows, schemas.CHUNK_LABELS)
    emotions = [
        {"clip_id": "a1", "outcome": "labelled", "label": "joy"},
        {"clip_id": "a2", "outcome": "labelled", "label": "rage"},
        {"clip_id": "b1", "outcome": "none", "label": None},
    ]
    _write(layout.corpus("mine", "labels_emotion"), emotions, schemas.labels_emotion(["joy", "rage"]))
    return found


def _write(path: str, rows: list[dict[str, Any]], schema: Any) -> None:
    shards.write_table(path, [{name: row.get(name) for name in schema.names} for row in rows], schema, {})


def test_labels_of_the_same_chunk_are_counted_together(config: Config) -> None:
    chunks, by_emotion, by_activation = agreements(OpenRun(config))
    assert (chunks.one, chunks.other, chunks.rows, chunks.columns) == (
        "energy", "activation", ["high", "low"], ["high", "low"],
    )  # fmt: skip
    assert chunks.counts.tolist() == [[2, 1], [0, 2]]
    assert (chunks.chunks, chunks.clips) == (5, 3)
    assert chunks.kappa == pytest.approx((4 / 5 - (3 * 2 + 2 * 3) / 25) / (1 - 12 / 25))
    assert by_emotion.counts.tolist() == [[2, 1], [0, 1]]
    assert (by_emotion.columns, by_emotion.clips, by_emotion.kappa) == (["joy", "rage"], 2, None)
    assert by_activation.counts.tolist() == [[1, 1], [1, 1]]
    assert by_activation.association == 0
    rows = agreement_rows([chunks])
    assert [(row["label"], row["other_label"], row["chunks"]) for row in rows] == [
        ("high", "high", 2), ("high", "low", 1), ("low", "high", 0), ("low", "low", 2),
    ]  # fmt: skip


def test_each_speaker_is_counted_in_each_task(config: Config) -> None:
    rows = {
        (row["speaker"], row["task"], row["label"]): (row["count"], row["share"])
        for row in speaker_rows(OpenRun(config))
    }
    assert rows["a", "clips", "all"] == (2, pytest.approx(2 / 3))
    assert rows["a", "energy", "high"] == (3, 0.75)
    assert rows["b", "energy", "low"] == (1, 0.5)
    assert rows["b", "energy", "dead_zone"] == (1, 0.5)
    assert rows["a", "activation", "low"] == (2, 0.5)
    assert rows["a", "emotion", "joy"] == (1, 0.5)
    assert rows["b", "emotion", "none"] == (1, 1.0)


def test_a_corpus_without_pseudo_labels_has_neither(tmp_path: Path) -> None:
    corpora = {"mine": {"path": ".", "reader": "folder", "use": ["pretrain"]}}
    config = parse({"results": str(tmp_path / "none"), "corpora": corpora})
    assert agreements(OpenRun(config)) == []
    assert speaker_rows(OpenRun(config)) == []

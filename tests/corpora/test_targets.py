"""Targets: raters' votes become labels by rules that can be counted by hand; CREMA-D's published agreement holds."""

import csv
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import pytest

from avpretext import shards
from avpretext.config import CorpusOptions
from avpretext.corpora import READERS, targets
from avpretext.corpora.reader import Reader, Source
from avpretext.corpora.targets import (
    distribution,
    from_attribute,
    from_votes,
    mapped_votes,
    several_labels,
    smoothed,
)
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.training.target_rows import has_classes

CLASSES = ["ANG", "HAP", "SAD"]
# clear, tied by two, tied by all, no votes
VOTES = np.array([[7, 2, 1], [5, 5, 0], [1, 1, 1], [0, 0, 0]], dtype=np.float64)


def corpus(**more: Any) -> CorpusOptions:
    return CorpusOptions.model_validate({"path": ".", "reader": "made", "use": ["finetune"], **more})


def index_row(clip_id: str, label: str | None = None, recording: str | None = None) -> dict[str, Any]:
    return {
        "clip_id": clip_id, "path": f"{clip_id}.mp4", "speaker": clip_id[0], "label": label, "sentence": None,
        "level": None, "recording": recording, "start_s": None, "end_s": None, "size_bytes": 1,
    }  # fmt: skip


def make_reader(monkeypatch: pytest.MonkeyPatch, **sources: Source) -> None:
    reader = Reader(entries=lambda options, files: [], sources=lambda options: sources)
    monkeypatch.setitem(cast(dict[str, Reader], READERS), "made", reader)


def run(folder: Path, rows: list[dict[str, Any]], options: CorpusOptions, target: str) -> tuple[pl.DataFrame, Any]:
    shards.write_table(folder / "index.parquet", rows, schema_of("index"), {})
    output = folder / "targets.parquet"
    targets.run(options, target, [folder / "index.parquet"], output)
    return shards.read(output), shards.read_provenance(output)


def votes_of(**rows: list[float | None]) -> Source:
    columns = dict(zip(CLASSES, zip(*rows.values(), strict=True), strict=True))
    return Source("votes", lambda options: pl.DataFrame({"clip_id": list(rows), **columns}))


def test_the_majority_is_the_label_and_a_tie_is_none() -> None:
    found = from_votes(CLASSES, VOTES)
    assert found.labels == ["ANG", None, None, None]
    assert found.ties == 2
    assert found.classes == ["ANG"]
    assert np.isnan(found.values[1:]).all()


def test_a_tie_goes_to_the_acted_emotion_if_that_is_among_the_winners() -> None:
    found = from_votes(CLASSES, VOTES, ["SAD", "HAP", None, "SAD"])
    assert found.labels == ["ANG", "HAP", None, None]
    assert found.ties == 2
    assert from_votes(CLASSES, VOTES, ["SAD", "SAD", "SAD", "SAD"]).labels == ["ANG", None, "SAD", None]
    assert found.values[:2].tolist() == [[1, 0], [0, 1]]


def test_several_labels_are_those_with_at_least_one_in_k_votes() -> None:
    found = several_labels(CLASSES, VOTES)
    assert found.labels == ["ANG", "ANG+HAP", "ANG+HAP+SAD", None]
    assert found.values[:3].tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    assert np.isnan(found.values[3]).all()
    # 3 of 9 is exactly a third; 3 of 10 is less.
    assert several_labels(CLASSES, np.array([[6.0, 3, 0], [7, 3, 0]])).labels == ["ANG+HAP", "ANG"]


def test_shares_sum_to_one_and_a_tie_has_shares_but_no_label() -> None:
    found = distribution(CLASSES, VOTES)
    assert found.labels == ["ANG", None, None, None]
    np.testing.assert_allclose(found.values[:3], [[0.7, 0.2, 0.1], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]])
    assert np.isnan(found.values[3]).all()


def test_smoothed_shares_are_those_of_emo_superb() -> None:
    votes = np.array([[4, 6, 0, 0, 0, 0], [2, 1, 1, 3, 3, 0], [0, 10, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]], np.float64)
    shares = smoothed(distribution(list("ABCDEF"), votes).values)
    # The first two rows are its labels of 1037_IWL_HAP_XX and 1067_WSI_HAP_XX.
    np.testing.assert_allclose(shares[0], [0.386, 0.574, 0.01, 0.01, 0.01, 0.01], atol=1e-9)
    np.testing.assert_allclose(shares[1], [0.198, 0.104, 0.104, 0.292, 0.292, 0.01], atol=1e-9)
    np.testing.assert_allclose(shares[2], [0.01, 0.95, 0.01, 0.01, 0.01, 0.01], atol=1e-9)
    np.testing.assert_allclose(shares[3], [1 / 6] * 6, atol=1e-9)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-9)
    # Of four classes, MSP-IMPROV-S01A-F02-R-FF01: three raters of five for the first, two for the third.
    of_four = smoothed(np.array([[0.6, 0, 0.4, 0]]))
    np.testing.assert_allclose(of_four, [[0.576667, 0.016667, 0.39, 0.016667]], atol=1e-6)


def test_smoothing_keeps_the_classes_that_count_as_there() -> None:
    votes = np.random.default_rng(0).multinomial(10, [0.3, 0.2, 0.2, 0.1, 0.1, 0.1], 500).astype(np.float64)
    votes[0] = [5, 1, 0, 0, 0, 0]
    shares = distribution(list("ABCDEF"), votes).values
    before, after = (has_classes(values.astype(np.float32), "distribution") for values in (shares, smoothed(shares)))
    assert before[0].tolist() == [True, True, False, False, False, False]
    assert (before == after).all()


def test_the_target_smoothed_keeps_labels_and_votes_as_they_are(tmp_path, monkeypatch) -> None:
    make_reader(monkeypatch, voice=votes_of(a1=[7, 2, 1], a2=[5, 5, 0], b1=[0, 0, 0]))
    rows = [index_row(name) for name in ("a1", "a2", "b1")]
    table, made_by = run(tmp_path, rows, corpus(), "voice-smoothed")
    plain, _ = run(tmp_path, rows, corpus(), "voice-distribution")
    assert (made_by["kind"], made_by["target"]) == ("distribution", "voice-smoothed")
    assert table.drop("values").equals(plain.drop("values"))
    assert table["values"][0].to_list() == pytest.approx([0.6725, 0.21, 0.1175])
    assert table["values"][1].to_list() == pytest.approx([0.4875, 0.4875, 0.025])
    assert table["values"][2] is None


def test_an_attribute_is_a_number_or_nothing() -> None:
    found = from_attribute([1.5, None, float("nan")], "arousal")
    assert found.values[0].tolist() == [1.5]
    assert np.isnan(found.values[1:]).all()
    assert found.classes == ["arousal"]
    assert found.labels == [None, None, None]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Source("attribute", lambda options: pl.DataFrame({"clip_id": ["a1", "b1"], "value": [2.0, -np.inf]})),
         "the clip 'b1' has value -inf; expected a finite number"),
        (votes_of(a1=[7.0, 2.0, 1.0], b1=[0.0, np.nan, 0.0]), "the clip 'b1' has HAP nan; expected 0 or more votes"),
        (votes_of(a1=[7, 2, -1], b1=[0, 1, 0]), "the clip 'a1' has SAD -1; expected 0 or more votes"),
    ],
)  # fmt: skip
def test_numbers_that_cannot_be_are_an_error(tmp_path, monkeypatch, source, said) -> None:
    make_reader(monkeypatch, voice=source)
    with pytest.raises(UserError, match=said):
        run(tmp_path, [index_row("a1"), index_row("b1")], corpus(), "voice")


def test_votes_of_labels_that_are_learnt_as_one_are_summed_before_they_are_counted() -> None:
    label_map = {"ANG": "negative", "SAD": "negative", "HAP": "positive"}
    classes, counts = mapped_votes(CLASSES, np.array([[3.0, 4, 2], [0, 1, 0]]), label_map)
    assert classes == ["negative", "positive"]
    assert counts.tolist() == [[5, 4], [0, 1]]
    assert from_votes(classes, counts).labels == ["negative", "positive"]
    assert mapped_votes(CLASSES, counts=np.ones((1, 3)), label_map={"ANG": "x", "SAD": None, "HAP": None})[0] == ["x"]


def test_the_table_has_a_row_for_every_clip_and_says_what_it_holds(tmp_path, monkeypatch) -> None:
    make_reader(monkeypatch, voice=votes_of(a2=[2, 1, 0], b1=[0, None, 4], a1=[1, 1, 0], elsewhere=[9, 9, 9]))
    rows = [index_row(name) for name in ("b1", "a1", "a2", "b2")]
    table, made_by = run(tmp_path, rows, corpus(), "voice")
    assert table.rows() == [
        ("a1", "a", None, None, [1.0, 0.0]),
        ("a2", "a", "ANG", [1.0, 0.0], [2.0, 0.0]),
        ("b1", "b", "SAD", [0.0, 1.0], [0.0, 4.0]),
        ("b2", "b", None, None, None),
    ]
    facts = {name: made_by[name] for name in ("kind", "classes", "target", "clips", "labelled", "ties")}
    assert facts == {
        "kind": "hard", "classes": ["ANG", "SAD"], "target": "voice", "clips": 4, "labelled": 2, "ties": 1
    }  # fmt: skip


@pytest.mark.parametrize("target", ["voice-multi_label", "voice-distribution"])
def test_votes_are_kept_as_raters_gave_them(tmp_path, monkeypatch, target) -> None:
    make_reader(monkeypatch, voice=votes_of(a1=[7, 2, 1], a2=[5, 5, 0], b1=[0, 0, 0]))
    table, _ = run(tmp_path, [index_row(name) for name in ("a1", "a2", "b1", "b2")], corpus(), target)
    assert table["votes"].to_list() == [[7, 2, 1], [5, 5, 0], None, None]


def test_votes_are_kept_after_the_label_map(tmp_path, monkeypatch) -> None:
    make_reader(monkeypatch, voice=votes_of(a1=[7, 2, 1], a2=[0, 0, 3], b1=[0, 6, 3]))
    rows = [index_row(name) for name in ("a1", "a2", "b1")]
    label_map = {"ANG": "negative", "SAD": "negative", "HAP": "positive"}
    table, made_by = run(tmp_path, rows, corpus(label_map=label_map), "voice")
    assert made_by["classes"] == ["negative", "positive"]
    assert table["votes"].to_list() == [[8, 2], [3, 0], [3, 6]]
    table, _ = run(tmp_path, rows, corpus(label_map={**label_map, "SAD": None}), "voice-distribution")
    assert table["votes"].to_list() == [[7, 2], None, [0, 6]]


def test_labels_and_numbers_have_no_votes_behind_them(tmp_path, monkeypatch) -> None:
    numbers = pl.DataFrame({"clip_id": ["a1", "b1"], "value": [2, 5]})
    make_reader(
        monkeypatch,
        acted=Source("label"),
        arousal=Source("attribute", lambda options: numbers),
        voice=votes_of(a1=[7, 2, 1], b1=[0, 0, 3]),
    )
    for target in ("acted", "arousal"):
        table, _ = run(tmp_path, [index_row("a1", "ANG"), index_row("b1", "SAD")], corpus(), target)
        assert table["votes"].to_list() == [None, None]


def test_a_class_may_have_any_name(tmp_path, monkeypatch) -> None:
    votes = pl.DataFrame({"clip_id": ["a1", "b1"], "acted": [3, 0], "label": [0, 2], "recording": [1, 1]})
    make_reader(monkeypatch, voice=Source("votes", lambda options: votes))
    table, _ = run(tmp_path, [index_row("a1", "label"), index_row("b1", "acted")], corpus(ties="acted"), "voice")
    assert table["label"].to_list() == ["acted", "label"]


def test_the_same_votes_give_the_same_bytes(tmp_path, monkeypatch) -> None:
    make_reader(monkeypatch, voice=votes_of(a1=[2, 1, 0], b1=[0, 1, 4]))
    files = []
    for place, rows in enumerate(([index_row("a1"), index_row("b1")], [index_row("b1"), index_row("a1")])):
        run(tmp_path / str(place), rows, corpus(), "voice-distribution")
        files.append((tmp_path / str(place) / "targets.parquet").read_bytes())
    assert files[0] == files[1]


def test_segments_of_a_recording_have_what_is_known_of_it(tmp_path, monkeypatch) -> None:
    labels = pl.DataFrame({"clip_id": ["talk", "walk", "walk_1"], "label": ["calm", "angry", "sad"]})
    make_reader(monkeypatch, said=Source("label", lambda options: labels))
    rows = [index_row("talk_1", recording="talk"), index_row("talk_2", recording="talk"), index_row("walk_1")]
    rows[2]["recording"] = "walk"
    table, _ = run(tmp_path, rows, corpus(segment=True), "said")
    assert table["label"].to_list() == ["calm", "calm", "angry"]
    with pytest.raises(UserError, match="all labelled clips are 'sad'"):
        run(tmp_path, rows, corpus(), "said")


def test_attributes_ignore_the_label_map(tmp_path, monkeypatch) -> None:
    numbers = pl.DataFrame({"clip_id": ["a1", "b1"], "value": [2, 5]})
    make_reader(monkeypatch, arousal=Source("attribute", lambda options: numbers))
    table, made_by = run(tmp_path, [index_row("a1"), index_row("b1")], corpus(label_map={"x": "y"}), "arousal")
    assert table["values"].to_list() == [[2.0], [5.0]]
    assert table["label"].to_list() == [None, None]
    assert (made_by["kind"], made_by["classes"], made_by["target"]) == ("attribute", ["arousal"], "arousal")


def test_labels_of_names_are_mapped_and_dropped(tmp_path, monkeypatch) -> None:
    make_reader(monkeypatch, acted=Source("label"))
    rows = [index_row("a1", "ANG"), index_row("a2", "HAP"), index_row("b1", "DIS"), index_row("b2")]
    options = corpus(label_map={"ANG": "angry", "HAP": "happy", "DIS": None})
    table, made_by = run(tmp_path, rows, options, "acted")
    assert table["label"].to_list() == ["angry", "happy", None, None]
    assert made_by["target"] == "acted-mapped"
    with pytest.raises(UserError, match="no word on 'DIS'; the map has ANG, HAP"):
        run(tmp_path, rows, corpus(label_map={"ANG": "angry", "HAP": "happy"}), "acted")


def test_what_cannot_be_learnt_is_told_with_its_fix(tmp_path, monkeypatch) -> None:
    row = [index_row("a1", "ANG"), index_row("b1", "ANG")]
    make_reader(
        monkeypatch,
        acted=Source("label"),
        none=Source("label", lambda options: pl.DataFrame({"clip_id": ["A1"], "label": ["x"]})),
        twice=Source("label", lambda options: pl.DataFrame({"clip_id": ["a1", "a1"], "label": ["x", "y"]})),
        tied=votes_of(a1=[1, 1, 0]),
        same=Source("attribute", lambda options: pl.DataFrame({"clip_id": ["a1", "b1"], "value": [3.0, 3.0]})),
    )
    for target, words in {
        "acted": "all labelled clips are 'ANG' for 'acted'; at least two classes are needed",
        "none": "known of 1 clips, such as 'A1', and of none of the corpus's 2, such as 'a1'",
        "twice": "two different rows are of the clip 'a1'",
        "tied": r"none of the 2 clips of the corpus has a label for 'tied' \(votes that tie: 1\); choose other targets",
        "same": "'same' is 3 for every clip",
    }.items():
        with pytest.raises(UserError, match=words):
            run(tmp_path, row, corpus(), target)


def crema_d(shared_data: Path, folder: Path, target: str, **more: Any) -> tuple[pl.DataFrame, Any]:
    names = pl.read_csv(shared_data / "crema-d" / "SentenceFilenames.csv")["Filename"].to_list()
    rows = [index_row(name, name[9:12]) for name in names]
    options = corpus(path=str(shared_data / "crema-d"), reader="crema_d", **more)
    table, made_by = run(folder, rows, options, target)
    return table.with_columns(acted=pl.col("clip_id").str.slice(9, 3)), made_by


@pytest.mark.parametrize(
    ("raters", "agreement", "ties"), [("voice", 45.6, 644), ("face", 70.7, 470), ("both", 76.5, 420)]
)
def test_crema_d_majorities_agree_with_the_acted_emotion_as_often_as_is_known(
    shared_data, tmp_path, raters, agreement, ties
) -> None:
    table, made_by = crema_d(shared_data, tmp_path, raters)
    assert len(table) == 7442
    assert made_by["ties"] == table["label"].null_count() == ties
    decided = table.filter(pl.col("label").is_not_null())
    assert 100 * (decided["label"] == decided["acted"]).sum() / len(decided) == pytest.approx(agreement, abs=0.05)


def test_crema_d_votes_are_those_of_its_table(shared_data, tmp_path) -> None:
    with (shared_data / "crema-d" / "tabulatedVotes.csv").open(encoding="utf-8", newline="") as file:
        counted = {
            row["fileName"]: [float(row[letter]) for letter in "ADFHNS"]
            for row in csv.DictReader(file)
            if row[""].startswith("1")
        }
    for target in ("voice", "voice-distribution"):
        table, made_by = crema_d(shared_data, tmp_path, target)
        assert made_by["classes"] == ["ANG", "DIS", "FEA", "HAP", "NEU", "SAD"]
        assert dict(table.select("clip_id", "votes").iter_rows()) == counted


def test_crema_d_listeners_hear_mostly_neutral(shared_data, tmp_path) -> None:
    table, _ = crema_d(shared_data, tmp_path, "voice")
    counts = dict(table.drop_nulls("label")["label"].value_counts().iter_rows())
    assert counts == {"ANG": 986, "DIS": 547, "FEA": 645, "HAP": 353, "NEU": 3897, "SAD": 370}


def test_crema_d_ties_that_the_acted_emotion_decides_are_among_the_winners(shared_data, tmp_path) -> None:
    dropped, _ = crema_d(shared_data, tmp_path, "voice")
    decided, made_by = crema_d(shared_data, tmp_path, "voice", ties="acted")
    shares, _ = crema_d(shared_data, tmp_path, "voice-distribution")
    assert made_by["ties"] == 644
    new = decided.filter(dropped["label"].is_null() & pl.col("label").is_not_null())
    assert 0 < len(new) < 644
    assert (new["label"] == new["acted"]).all()
    classes = ["ANG", "DIS", "FEA", "HAP", "NEU", "SAD"]
    for clip_id, label in new.select("clip_id", "label").iter_rows():
        share = shares.filter(pl.col("clip_id") == clip_id)["values"][0]
        assert share[classes.index(label)] == share.max()

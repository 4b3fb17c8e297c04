"""The stage `tables` on a whole results folder."""

import csv
import json
from pathlib import Path

import pytest

from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.evaluation import tables


@pytest.fixture(scope="module")
def folder(results: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("tables")
    tables.run(results, output)
    return output


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_main_table_has_scratch_each_task_each_pair_and_all(folder: Path) -> None:
    rows = read(folder / "main.csv")
    assert [row["initialisation"] for row in rows] == [
        "scratch", "energy", "activation", "emotion", "energy-activation", "energy-emotion", "activation-emotion",
        "energy-activation-emotion",
    ]  # fmt: skip
    assert {(row["corpus"], row["target"]) for row in rows} == {("demo_acted", "acted")}
    assert [rows[5][task] for task in ("energy", "activation", "emotion")] == ["1", "0", "1"]


def test_main_table_has_every_measure_with_spread_interval_and_comparison(folder: Path) -> None:
    scratch, energy, *_ = read(folder / "main.csv")
    for measure in ("macro_precision", "macro_recall", "macro_f1", "uar", "war"):
        low, value, high = (float(energy[f"{measure}{part}"]) for part in ("_low", "", "_high"))
        assert 0 <= low <= value <= high <= 1
        assert float(energy[f"{measure}_std"]) > 0
        assert float(energy[f"{measure}_difference"]) == pytest.approx(value - float(scratch[measure]), abs=2e-4)
        assert 0 < float(energy[f"{measure}_p"]) <= 1
        assert scratch[f"{measure}_p"] == ""


def test_twice_the_same_run_gives_the_same_bytes(results: Config, folder: Path, tmp_path: Path) -> None:
    tables.run(results, tmp_path)
    written = sorted(path.name for path in folder.iterdir())
    assert written == sorted(path.name for path in tmp_path.iterdir())
    for name in written:
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_label_balance_counts_every_chunk_and_clip(folder: Path) -> None:
    rows = read(folder / "label_balance.csv")
    for task, total in (("energy", 5 * 120), ("activation", 5 * 120), ("emotion", 120), ("target", 96)):
        part = [row for row in rows if row["task"] == task]
        assert sum(int(row["count"]) for row in part) == total
        assert sum(float(row["share"]) for row in part) == pytest.approx(1, abs=1e-3)
    assert {"none", "ambiguous", "unmeasured"} <= {row["label"] for row in rows if row["task"] == "emotion"}


def test_refused_clips_are_counted_by_reason_and_listed(folder: Path) -> None:
    counted, listed = read(folder / "rejects.csv"), read(folder / "rejects_clips.csv")
    assert [(row["stage"], row["reason"], row["clips"]) for row in counted if row["corpus"] == "demo_talk"] == [
        ("landmarks", "no_face", "1"), ("split", "no_audio", "2"),
    ]  # fmt: skip
    assert len(listed) == 6
    corpora = {row["corpus"]: row for row in read(folder / "corpora.csv")}
    assert (corpora["demo_talk"]["clips"], corpora["demo_talk"]["refused"]) == ("120", "3")
    assert (corpora["demo_acted"]["speakers"], corpora["demo_acted"]["labelled"]) == ("8", "96")


def test_significance_names_test_and_correction(folder: Path) -> None:
    rows = read(folder / "significance.csv")
    assert len(rows) == 7 * 5
    assert all(float(row["p_holm"]) >= float(row["p_value"]) for row in rows)


def test_per_class_table_has_a_row_for_each_class(folder: Path) -> None:
    rows = read(folder / "per_class.csv")
    assert len(rows) == 8 * 6
    assert {row["clips"] for row in rows} == {"16"}


def test_provenance_repeats_versions_options_and_model_checksums(folder: Path) -> None:
    rows = json.loads((folder / "provenance.json").read_text("utf-8"))
    landmarks = next(row for row in rows if row["stage"] == "landmarks")
    assert landmarks["models"] == {"face_landmarker.task": "64184e22"}
    assert landmarks["options"] == {"landmarks": {"option": 1}}
    assert landmarks["files"] == 2
    stages = [row["stage"] for row in rows]
    assert {"index", "split", "labels_emotion", "pretrain", "finetune", "evaluate"} <= set(stages)
    assert len(read(folder / "provenance.csv")) == len(rows)


def test_printed_tables_say_that_the_corpus_is_synthetic(folder: Path) -> None:
    for name in ("main.md", "main.tex"):
        text = (folder / name).read_text("utf-8")
        assert "Synthetic demo corpus" in text
        assert "energy + activation + emotion" in text
    tex = (folder / "main.tex").read_text("utf-8")
    assert r"\toprule" in tex
    assert r"demo\_acted" in tex


def test_empty_results_give_empty_tables_with_their_columns(tmp_path: Path) -> None:
    corpora = {"mine": {"path": ".", "reader": "folder", "use": ["pretrain"]}}
    config = parse({"results": str(tmp_path / "none"), "corpora": corpora})
    tables.run(config, tmp_path)
    assert read(tmp_path / "main.csv") == []
    assert (tmp_path / "rejects.csv").read_text("utf-8") == "corpus,stage,reason,clips,meaning\n"

"""Labels for those who train elsewhere: a dataset of the hub, EmoBox's lists, cuts of Lhotse."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml

from avpretext import shards
from avpretext.config import Config
from avpretext.corpora import reader_of, scan
from avpretext.corpora.emobox import list_files, read_list
from avpretext.errors import UserError
from avpretext.interchange import labels_to
from avpretext.interchange.label_tables import gather
from tests.corpora.made import corpus

FOLDS = ["acted.speaker_kfold.1", "voice-distribution.speaker_kfold.1"]


@pytest.fixture(scope="module")
def dataset(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset") / "out"
    assert labels_to.run(config, "mine", "datasets", folder) == ["all", *FOLDS]
    return folder


def card_of(folder: Path) -> dict[str, object]:
    _, front, _ = (folder / "README.md").read_text("utf-8").split("---", 2)
    return dict(yaml.safe_load(front))


def test_a_fold_is_a_configuration_and_no_test_clip_is_in_its_train_split(dataset: Path) -> None:
    configs = {one["config_name"]: one["data_files"] for one in card_of(dataset)["configs"]}
    assert list(configs) == ["all", *FOLDS]
    for name in FOLDS:
        clips = {
            part["split"]: [
                one for path in part["path"] for one in pq.read_table(dataset / path)["clip_id"].to_pylist()
            ]
            for part in configs[name]
        }
        assert clips == {"train": ["anna/one"], "test": ["ben/it's"]}, "the dropped clip is in neither"
    every = [path for part in configs["all"] for path in part["path"]]
    assert sorted(every) == sorted(f"data/{path.name}" for path in (dataset / "data").iterdir())


def test_datasets_opens_it_with_classes_labels_and_audio(
    dataset: Path, config: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    told = {"cache_dir": str(tmp_path)}
    opened = datasets.load_dataset(str(dataset), FOLDS[0], **told)
    assert {split: rows["clip_id"] for split, rows in opened.items()} == {"train": ["anna/one"], "test": ["ben/it's"]}
    rows = datasets.load_dataset(str(dataset), split="clips", **told)
    assert rows.features["target.acted"].names == ["ANG", "SAD"]
    assert rows.features["audio"].sampling_rate == 16_000
    one = next(row for row in rows.cast_column("audio", datasets.Audio(decode=False)) if row["clip_id"] == "anna/one")
    assert (one["target.acted"], one["sex"], one["age"]) == (0, "female", 51)
    assert (one["target.voice-distribution"], one["votes.voice-distribution"]) == ([0.75, 0.25], [3.0, 1.0])
    assert [(chunk["label"], chunk["start_s"]) for chunk in one["pseudo.energy"]] == [("low", 0.0), ("high", 0.21)]
    assert (one["pseudo.emotion"], one["pseudo.emotion.confidence"]) == ("ANG", 0.5)
    tables = gather(config, "mine")
    assert one["audio"]["bytes"] == pl.read_parquet(tables.audio[0], columns=["audio"])["audio"][0]["bytes"]


def test_clips_in_the_same_parts_share_a_file(dataset: Path) -> None:
    assert len(list((dataset / "data").iterdir())) == 3
    assert "derived from the signal and the face by a program" in (dataset / "README.md").read_text("utf-8")


def test_emobox_lists_are_read_again_as_the_clips_labels_and_folds_that_they_were(
    config: Config, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    assert labels_to.run(config, "mine", "emobox", folder) == ["acted.speaker_kfold"], "shares are no label"
    place = folder / "acted.speaker_kfold"
    assert json.loads((place / "label_map.json").read_text()) == {"ANG": "ANG", "SAD": "SAD"}
    files = list_files(place)
    found = {part: [(entry.file, entry.label) for entry in read_list(file)] for part, file in files[1].items()}
    assert found == {"train": [("audio/anna/one", "ANG")], "test": [("audio/ben/it's", "ANG")]}
    options = corpus(folder, "emobox", video=False, table=str(place))
    assert {file.clip_id for file in scan(options) if file.clip} == {"anna/one", "ben/it's"}
    (source, *_) = reader_of(options).sources(options).values()
    assert dict(source.read(options).iter_rows()) == {"anna/one": "ANG", "ben/it's": "ANG"}
    entry = json.loads((place / "fold_1/mine_train_fold_1.jsonl").read_text())
    assert (entry["num_frame"], entry["length"], entry["key"]) == (24_000, 1.5, "mine-anna/one")


def test_a_corpus_without_folds_of_one_label_has_no_emobox_lists(config: Config, tmp_path: Path) -> None:
    from avpretext.interchange import emobox_lists

    tables = gather(config, "mine")
    shares = {name: rows for name, rows in tables.folds.items() if name.startswith("voice")}
    with pytest.raises(UserError, match="no folds of a target with one label per clip"):
        emobox_lists.write(replace(tables, folds=shares), tmp_path, audio=False)


def test_lhotse_reads_cuts_with_audio_labels_landmarks_and_action_units(config: Config, tmp_path: Path) -> None:
    lhotse = pytest.importorskip("lhotse")
    folder = tmp_path / "out"
    assert labels_to.run(config, "mine", "lhotse", folder) == ["cuts", "recording", "landmarks", "action_units"]
    cuts = {cut.id: cut for cut in lhotse.CutSet.from_shar(in_dir=folder)}
    one = cuts["anna/one"]
    ramp = np.round(np.linspace(-0.5, 0.5, 24_000) * 32768) / 32768
    np.testing.assert_allclose(one.load_audio()[0], ramp, atol=2 / 32768)
    (told,) = one.supervisions
    assert (told.speaker, told.gender, told.custom["target.acted"]) == ("anna", "female", "ANG")
    assert told.custom["folds"] == dict.fromkeys(FOLDS, "train")
    assert [chunk["label"] for chunk in told.custom["pseudo.energy"]] == ["low", "high"]
    landmarks = one.load_landmarks()
    assert landmarks.shape == (3, 1434)
    assert (landmarks[1] == 1.5).all()
    assert np.isnan(landmarks[2]).all()
    units = one.load_action_units()
    assert units[:2, one.action_units_columns.index("AU12")].tolist() == [0.0, 0.25]
    assert one.landmarks_fps == 25
    assert not cuts["ben/it's"].has_custom("landmarks"), "no face was found in it"


@pytest.mark.parametrize("form", ["datasets", "emobox", "lhotse"])
def test_without_audio_only_names_are_written(config: Config, tmp_path: Path, form: labels_to.Format) -> None:
    if form == "lhotse":
        pytest.importorskip("lhotse")
    labels_to.run(config, "mine", form, tmp_path / "out", audio=False)
    size = sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert not list((tmp_path / "out").rglob("*.flac"))
    assert not list((tmp_path / "out").rglob("recording*"))
    assert size < 60_000


def test_a_clip_whose_shard_of_faces_is_not_made_yet_has_no_landmarks(config: Config, tmp_path: Path) -> None:
    lhotse = pytest.importorskip("lhotse")
    from avpretext.interchange import lhotse_shar

    lhotse_shar.write(replace(gather(config, "mine"), faces={"landmarks": ()}), tmp_path, audio=True)
    assert not any(cut.has_custom("landmarks") for cut in lhotse.CutSet.from_shar(in_dir=tmp_path))


def test_files_of_a_dataset_tell_where_they_are_from(dataset: Path) -> None:
    for file in (dataset / "data").iterdir():
        assert "labels_energy" in shards.read_provenance(file)

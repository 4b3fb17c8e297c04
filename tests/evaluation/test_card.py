"""The model card: the scores of evaluate, and what a reader must know of them."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.predict.conftest import describe, write_model

from avpretext import shards
from avpretext.config import CorpusOptions
from avpretext.corpora.readers import READERS
from avpretext.errors import UserError
from avpretext.evaluation import card, card_metadata
from avpretext.evaluation.kinds import MEASURE_NAMES
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance


def metrics(path: Path, initialisation: str = "energy", kind: str = "hard") -> Path:
    """Write scores of a setting: .5 over all classes, less for one of them."""
    counted = {"mean": 0.5, "std": 0.1, "runs": 12, "speakers": 9, "clips": 90}
    measures = {"hard": ["macro_f1", "uar"], "attribute": ["ccc", "rmse"], "attributes": ["ccc", "mae"]}[kind]
    rows: list[dict[str, Any]] = [
        {"initialisation": initialisation, "measure": name, "class": None, "value": 0.5 + place / 8, "ci_low": 0.4,
         "ci_high": None if place else 0.6, **counted}
        for place, name in enumerate(measures)
    ]  # fmt: skip
    for measure in ("precision", "recall", "f1") if kind == "hard" else ():
        rows.append({**rows[0], "measure": measure, "class": "angry", "value": 0.25})
    for measure in ("ccc", "pearson", "rmse", "mae") if kind == "attributes" else ():
        rows.append({**rows[0], "measure": measure, "class": "arousal", "value": 0.125})
    rows += [{**row, "initialisation": "scratch", "value": 0.1} for row in rows]
    made_by = provenance("evaluate", {"evaluate": {"level": 0.9}, "seed": 1})
    shards.write_table(path, rows, schema_of("evaluate.metrics"), made_by)
    return path


def carded(
    tmp_path: Path,
    options: dict[str, Any] | None = None,
    kind: str = "hard",
    readers: dict[str, str] | None = None,
    **changes: Any,
) -> tuple[str, Any]:
    folder = write_model(tmp_path / "model", describe(initialisation="energy", kind=kind, **changes))
    corpus = CorpusOptions(**{"path": ".", "use": [], "reader": "ravdess", **(options or {})})
    card.run(
        folder / "model.json", metrics(tmp_path / "metrics.parquet", kind=kind), "mine", corpus, readers or {}, folder
    )
    return (folder / "README.md").read_text(), json.loads((folder / "card.json").read_text())


def test_several_attributes_are_told_one_by_one(tmp_path: Path) -> None:
    scales = {"classes": ["arousal", "valence"], "scale": [(4.0, 1.0), (3.0, 0.5)]}
    page, said = carded(tmp_path, kind="attributes", **scales)
    assert "Hears speech and tells arousal, valence, each a number (label target" in page
    assert "| arousal | 0.125 | 0.125 | 0.125 | 0.125 |" in page
    assert "each measure is the mean of theirs" in page
    assert said["classes"] == {"arousal": {"ccc": 0.125, "pearson": 0.125, "rmse": 0.125, "mae": 0.125}}


def test_it_repeats_the_scores_of_its_own_start_with_intervals(tmp_path: Path) -> None:
    page, said = carded(tmp_path)
    assert "| macro-F1 | 0.500 | 0.400 to 0.600 |" in page
    assert "| angry | 0.250 | 0.250 | 0.250 |" in page
    assert "90 clips of 9 speakers, 12 runs" in page
    assert "intervals of 90 %" in page
    assert [score["value"] for score in said["scores"]] == [0.5, 0.625]
    assert said["classes"] == {"angry": {"precision": 0.25, "recall": 0.25, "f1": 0.25}}
    assert said["level"] == 0.9


def test_it_says_what_the_scores_are_not_and_what_the_licences_are(tmp_path: Path) -> None:
    page, said = carded(tmp_path, dev_scores={"scratch": 0.3, "energy": 0.4})
    assert "**These are not scores of this very model.**" in page
    assert "was chosen among 2 by its score on dev clips" in " ".join(page.split())
    assert "CC BY-NC-SA 4.0" in page
    assert "commercial use\n  needs a licence from audEERING" in page
    assert "synthetic" not in page
    assert "speakers in both train and test" not in page
    assert list(said["licences"]) == ["mine"]
    assert said["licences"]["mine"].endswith("CC BY-NC-SA 4.0")


def test_each_corpus_that_was_learnt_from_has_its_licence(tmp_path: Path) -> None:
    page, said = carded(tmp_path, {"reader": "folder"}, readers={"other": "ravdess"})
    assert said["licences"]["mine"].startswith("none of it is known")
    assert "- The corpus mine: none of it is known" in page
    assert "\n- The corpus other: " in page
    assert "CC BY-NC-SA 4.0" in page


def test_it_warns_of_a_synthetic_corpus_and_of_a_protocol_that_leaks(tmp_path: Path) -> None:
    page, said = carded(tmp_path, {"synthetic": True}, speaker_leaks=True)
    assert "**Trained on a synthetic corpus" in page
    assert "**This protocol has speakers in both train and test" in page
    assert "each trained without the clips\nthat it was tested on" in page
    assert "tested on clips that they were not trained on" in said["estimate"]


def test_a_model_by_speaker_says_that_it_must_know_who_speaks(tmp_path: Path) -> None:
    page, _ = carded(tmp_path, model={"normalise": "speaker"})
    assert "--speakers folder" in page
    assert 'model.predict("clip.wav", speaker="me")' in page
    learnt = {"mine": {"clips": 9, "speakers": 3, "hours": 0.1}}
    whole = {"normalise": "speaker", "whole_corpora": ["mine"]}
    (tmp_path / "whole").mkdir()
    page, _ = carded(tmp_path / "whole", corpora=learnt, model=whole)
    assert "--speakers" not in page
    assert "normalised by all clips of a corpus: give it many files together" in page


def test_it_says_how_a_pre_trained_encoder_has_learnt() -> None:
    by = {"name": "tiny", "kind": "wavlm", "hub": None, "layers": [0], "size": 4, "digests": {}, "options": {}}
    said = {
        tune: card.how_it_learnt(describe(encoder={**by, "tuning": {"tune": tune, "rank": 3, "last": 2}}))
        for tune in ("frozen", "last_n", "lora", "full")
    }
    assert said["lora"] == "with adapters of rank 3 that have learnt; what it has learnt is in `model.safetensors`"
    assert said["last_n"].startswith("whose last layers (2) have learnt")
    assert card.how_it_learnt(describe(encoder=by)) == "frozen"


def test_an_attribute_has_no_classes(tmp_path: Path) -> None:
    page, said = carded(tmp_path, kind="attribute", classes=["arousal"], scale=(1.0, 2.0))
    assert "tells arousal, a number" in page
    assert "| CCC | 0.500 | 0.400 to 0.600 |" in page
    assert "precision" not in page
    assert said["classes"] == {}


def test_scores_of_another_start_are_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no scores of 'emotion'; run the stage 'evaluate' again"):
        card.rows_of(metrics(tmp_path / "metrics.parquet"), "emotion")


def test_no_line_is_left_with_a_template_in_it(tmp_path: Path) -> None:
    page, _ = carded(tmp_path)
    assert not any(sign in page for sign in ("{{", "{%", "None", "to  |"))
    assert "\n\n\n" not in page


def hub_data(model: Path) -> Any:
    """Return what the hub reads from the card of a model."""
    hub = pytest.importorskip("huggingface_hub", reason="the package huggingface_hub is not installed")
    return hub.ModelCard.load(model / "README.md").data


@pytest.mark.parametrize("kind", ["hard", "attributes"])
def test_the_hub_reads_the_scores_of_the_card(tmp_path: Path, kind: str) -> None:
    changes: dict[str, Any] = (
        {} if kind == "hard" else {"classes": ["arousal", "valence"], "scale": [(4.0, 1.0), (3.0, 0.5)]}
    )
    _, said = carded(tmp_path, kind=kind, **changes)
    data = hub_data(tmp_path / "model")
    scores = {MEASURE_NAMES[score["measure"]]: score["value"] for score in said["scores"]}
    assert {result.metric_name: result.metric_value for result in data.eval_results} == scores
    for result in data.eval_results:
        assert (result.task_type, result.dataset_name) == ("audio-classification", "RAVDESS")
        assert result.verified is False
        assert result.dataset_args["note"] == said["estimate"]
        assert result.dataset_args["speakers"] == 9
    first = data.eval_results[0]
    assert first.metric_args == {"low": 0.4, "high": 0.6, "level": 0.9}
    assert data.model_name.endswith("networks by the same recipe")


def test_the_hub_reads_corpora_languages_and_licence(tmp_path: Path) -> None:
    carded(tmp_path)
    data = hub_data(tmp_path / "model")
    assert (data.language, data.datasets, data.metrics) == (["en"], ["RAVDESS"], ["f1", "recall"])
    assert (data.license, data.license_name) == ("other", "terms-of-ravdess")
    assert data.license_link == "https://zenodo.org/record/1188976"
    assert data.tags == ["speech-emotion-recognition", "avpretext", "speech", "log_mel"]


def test_what_no_reader_knows_is_left_out_of_the_front_matter(tmp_path: Path) -> None:
    carded(tmp_path, {"reader": "folder"}, readers={"other_one": "emodb"})
    data = hub_data(tmp_path / "model")
    assert (data.language, data.datasets) == (["de"], ["mine", "EmoDB"])
    assert (data.license_name, data.license_link) == ("terms-of-mine-emodb", None)
    (tmp_path / "made").mkdir()
    carded(tmp_path / "made", {"synthetic": True})
    data = hub_data(tmp_path / "made" / "model")
    assert (data.language, data.license_link) == (None, None)


def test_every_language_of_a_known_corpus_has_its_code() -> None:
    for reader in READERS.values():
        if reader.published is not None and reader.published.language:
            named = reader.published.language.split(", ")
            assert len(card_metadata.language_codes(reader.published)) == len(named), named

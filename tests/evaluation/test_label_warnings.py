from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from avpretext import shards
from avpretext.config_file import parse
from avpretext.evaluation import label_warnings
from avpretext.evaluation.open_run import OpenRun
from avpretext.flow.artefacts import schema_of
from avpretext.flow.paths import Layout
from avpretext.flow.provenance import provenance

TABLE = {"neutral": "NEU", "emotions": {"HAP": {"name": "joy", "required": ["AU12"]}}}


def run_with(tmp_path: Path, labels: list[tuple[str | None, str, float]], **units: Any) -> OpenRun:
    """A corpus whose clips have these labels, by what resting face, seen for so many seconds."""
    config = parse(
        {"results": str(tmp_path), "corpora": {"one": {"path": ".", "use": ["pretrain"]}}, "action_units": units}
    )
    schema = schema_of("labels_emotion", {"score_*": ["score_HAP", "score_NEU"]})
    rows = [
        {
            "clip_id": f"{number:03d}",
            "outcome": "labelled" if label else "none",
            "label": label,
            "rest": rest,
            "rest_s": s,
        }
        for number, (label, rest, s) in enumerate(labels)
    ]
    made_by = provenance("labels_emotion", table=TABLE)
    shards.write_table(Layout(tmp_path).path("labels_emotion", corpus="one"), rows, schema, made_by)
    return OpenRun(config)


def said(run: OpenRun, **sets: dict[str, int]) -> list[str]:
    together = {"one": {tuple(units.split("_")): Counter(labels) for units, labels in sets.items()}}
    return [row["warning"] for row in label_warnings.warning_rows(run, together)]


def test_labels_that_look_sound_have_no_warning(tmp_path: Path) -> None:
    run = run_with(tmp_path, [("HAP", "speaker", 20.0), ("NEU", "speaker", 20.0)] * 10 + [(None, "speaker", 20.0)])
    assert said(run, AU06_AU12={"HAP": 9}, AU12={"HAP": 1}) == []


def test_a_class_with_more_than_half_of_the_labels_is_told(tmp_path: Path) -> None:
    run = run_with(
        tmp_path, [("HAP", "speaker", 20.0)] * 13 + [("NEU", "speaker", 20.0)] * 7 + [(None, "speaker", 9.0)] * 9
    )
    assert said(run) == ["13 of 20 (65%) emotion labels are HAP: the other classes teach little."]
    (tmp_path / "all").mkdir()
    alike = run_with(tmp_path / "all", [("NEU", "speaker", 20.0)] * 20)
    assert said(alike) == ["20 of 20 (100%) emotion labels are NEU: this corpus teaches no other class."]


def test_a_rest_that_was_hardly_seen_is_told(tmp_path: Path) -> None:
    run = run_with(tmp_path, [("HAP", "clip", 2.0), ("NEU", "speaker", 20.0), (None, "clip", 1.0)])
    (one,) = said(run)
    assert one.startswith(
        "1 of 2 (50%) emotion labels are measured from a resting face that was seen for less than 5 s"
    )


def test_emotions_that_show_one_action_unit_alone_are_told(tmp_path: Path) -> None:
    run = run_with(tmp_path, [("HAP", "speaker", 20.0), ("NEU", "speaker", 20.0)] * 10)
    # Of twelve emotions four show AU04 alone; neutral and unlabelled clips do not count.
    (one,) = said(run, AU04={"HAP": 4, "NEU": 30, "none": 5}, AU06_AU12={"HAP": 8})
    assert one == "4 of 12 (33%) emotions other than neutral show AU04 alone: look at their faces in the report."


def test_labels_of_the_corpus_that_enter_are_told(tmp_path: Path) -> None:
    run = run_with(tmp_path, [("HAP", "neutral clips", 9.0), ("NEU", "speaker", 9.0)], neutral_labels=True)
    assert said(run) == [
        "1 of 2 (50%) emotion labels rest on clips that the corpus labels neutral: its own labels entered them."
    ]
    without = run_with(tmp_path, [("HAP", "neutral clips", 9.0)])
    assert said(without) == []


@pytest.mark.parametrize("few", [3, 9])
def test_shares_of_few_labels_are_not_told(tmp_path: Path, few: int) -> None:
    assert said(run_with(tmp_path, [("HAP", "speaker", 20.0)] * few)) == []

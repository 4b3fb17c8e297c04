"""Labels of one class alone teach nothing, and that is said where a table compares what the task gained."""

from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from avpretext.evaluation.label_counts import one_class


def run_of(**emotions: list[str | None]) -> Any:
    """Return a run whose corpora have such emotion labels, and energy labels that are high and low."""

    def labels(corpus: str, task: str, columns: object) -> pl.DataFrame | None:
        if task == "energy":
            return pl.DataFrame({"label": [1, 0], "value": [0.5, 0.1]})
        if task != "emotion":
            return None
        given = emotions[corpus]
        outcomes = ["ambiguous" if label is None else "labelled" for label in given]
        return pl.DataFrame({"label": given, "outcome": outcomes, "score_ANG": 0.0, "score_NEU": 0.0})

    config = SimpleNamespace(
        heard_for_pretraining=lambda: ["a", "b"], clips_of=lambda name: name, with_clips=lambda: ["a", "b"]
    )
    return SimpleNamespace(config=config, labels=labels, settings=list)


@pytest.mark.parametrize(("other", "says"), [("NEU", True), (None, True), ("ANG", False)])
def test_a_task_whose_labels_are_of_one_class_in_all_corpora_is_named(other: str | None, says: bool) -> None:
    sentence = "All emotion labels are NEU: of sets of tasks with emotion, that task teaches nothing."
    assert one_class(run_of(a=["NEU", "NEU", None], b=["NEU", other])) == ([sentence] if says else [])

"""What speaks against the emotion labels of a corpus: said in the table `label_warnings` and beside the labels' charts.

The product cannot know whether a label is right. It can tell signs that many are wrong.
"""

from collections import Counter
from collections.abc import Mapping

import polars as pl

from avpretext.evaluation.au_summary import Combinations
from avpretext.evaluation.open_run import OpenRun, Rows

MOST = 0.5
"""A class with a larger share of the labels than this is told."""

LEAST_REST_S = 5.0
"""A resting face that was seen for less time is told."""

ALIKE = 0.25
"""So large a share of the emotions, neutral left out, that show the same action unit alone is told."""

FEWEST = 10
"""Of fewer labels nothing is said about shares."""


def warning_rows(run: OpenRun, together: Mapping[str, Combinations]) -> Rows:
    """Return one row per corpus and warning: corpus, task, clips, of, warning.

    Parameters
    ----------
    together
        The sets of action units that the clips of each corpus show; see `au_summary`.
    """
    found: Rows = []
    for corpus in run.config.with_clips():
        labels = run.labels(corpus, "emotion", ["label", "rest", "rest_s"])
        if labels is None:
            continue
        neutral = (run.made_by(corpus, "labels_emotion").get("table") or {}).get("neutral")
        given = labels.filter(pl.col("label").is_not_null())
        told = [*_one_class(given), *_short_rest(given), *_alone(together.get(corpus, {}), neutral)]
        told += _corpus_labels(given) if run.config.action_units.neutral_labels else []
        found += [{"corpus": corpus, "task": "emotion", **row} for row in told]
    return found


def _one_class(given: pl.DataFrame) -> Rows:
    """Tell a class that holds most labels."""
    counted = given["label"].value_counts(sort=True)
    if given.height < FEWEST or counted["count"][0] <= MOST * given.height:
        return []
    label, count = counted.row(0)
    meaning = "the other classes teach little" if count < given.height else "this corpus teaches no other class"
    return [_row(count, given.height, f"{{}} emotion labels are {label}: {meaning}.")]


def _short_rest(given: pl.DataFrame) -> Rows:
    """Tell labels whose resting face was hardly seen."""
    short = given.filter(pl.col("rest_s") < LEAST_REST_S).height
    words = (
        f"{{}} emotion labels are measured from a resting face that was seen for less than {LEAST_REST_S:g} s:"
        " name the speakers, and neutral clips of theirs (action_units.neutral_clips)."
    )
    return [_row(short, given.height, words)] if short else []


def _alone(sets: Combinations, neutral: str | None) -> Rows:
    """Tell an action unit that many emotions are read off alone."""
    emotions: Counter[str] = Counter()
    lone: Counter[str] = Counter()
    for units, labels in sets.items():
        count = sum(clips for label, clips in labels.items() if label != neutral and label not in _NO_EMOTION)
        emotions["all"] += count
        if len(units) == 1:
            lone[units[0]] += count
    words = "{} emotions other than neutral show UNIT alone: look at their faces in the report."
    return [
        _row(count, emotions["all"], words.replace("UNIT", unit))
        for unit, count in sorted(lone.items())
        if emotions["all"] >= FEWEST and count > ALIKE * emotions["all"]
    ]


_NO_EMOTION = ("none", "ambiguous", "unmeasured", "unlabelled")


def _corpus_labels(given: pl.DataFrame) -> Rows:
    """Tell that labels of the corpus entered."""
    entered = given.filter(pl.col("rest") == "neutral clips").height
    words = "{} emotion labels rest on clips that the corpus labels neutral: its own labels entered them."
    return [_row(entered, given.height, words)] if entered else []


def _row(clips: int, of: int, words: str) -> dict[str, object]:
    return {"clips": clips, "of": of, "warning": words.format(f"{clips} of {of} ({clips / max(of, 1):.0%})")}


def sentences(rows: Rows) -> dict[str, list[str]]:
    """Return what is said of each corpus."""
    said: dict[str, list[str]] = {}
    for row in rows:
        said.setdefault(row["corpus"], []).append(row["warning"])
    return said

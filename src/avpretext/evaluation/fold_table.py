"""The tables `folds` and `copies`, and the warnings and notes about a protocol that captions print."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl

from avpretext.corpora import protocols
from avpretext.corpora.leaks import DROPPED
from avpretext.corpora.reader import is_media
from avpretext.evaluation.open_run import Evaluated, OpenRun, Rows
from avpretext.names import key

PARTS = (*protocols.PARTS, DROPPED)
_LISTED = 20
"""Speakers of a part are named when they are no more than this."""


class Protocol(NamedTuple):
    """What a reader must know of the folds of a setting, in sentences.

    A caption must say `leaks`, speakers in test and in train or dev of the same fold (names that are `names.alike` are
    of one), `trained`, training on other corpora, and `wrong`, what else makes figures wrong. `notes` stand below a
    table: the protocol, with the copies of test audio that were left out, how the folds depart from it, and whether no
    fold has dev clips.
    """

    leaks: list[str]
    trained: list[str]
    wrong: list[str]
    notes: list[str]

    @property
    def warnings(self) -> list[str]:
        """All that a caption must say."""
        return [*self.leaks, *self.trained, *self.wrong]


def protocol_of(run: OpenRun, one: Evaluated) -> Protocol:
    """Return what is to be known of the folds of a setting; nothing before they are made."""
    found = run.folds(one)
    if found is None:
        return Protocol([], [], [], [])
    rows, made_by = found
    warnings, notes = made_by.get("warnings", []), [made_by.get("sentence", ""), *made_by.get("notes", [])]
    trained = rows.filter(pl.col("part") == "train")["corpus"].unique().sort().to_list()
    # Of other corpora, only those are the same people whom `folds` has found to be.
    leaking = _leaking(rows).height if trained == [one.corpus] or made_by.get("speaker_leaks") else 0
    people = "1 speaker is" if leaking == 1 else f"{leaking:,} speakers are"
    leaks = [f"NOT speaker-independent: {people} both in training and in test."] if leaking else []
    others = [] if trained == [one.corpus] else [f"Trained on {' and '.join(trained)}."]
    if rows.filter(pl.col("part") == "dev").is_empty():
        notes.append("No clips are set aside to choose the epoch: the last one is kept")
    said = ([_as_sentence(text) for text in texts if text] for texts in (warnings, notes))
    return Protocol(leaks, others, *said)


def _as_sentence(text: str) -> str:
    """Return a text with a capital and a full stop.

    >>> _as_sentence("protocol chou: 5 folds")
    'Protocol chou: 5 folds.'
    """
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}." if text else ""


def _leaking(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the people who are on both sides of a fold."""
    place = ["fold", "person"]
    # A path stands for a speaker who is not known; files are not alike.
    people = {name: key(name) for name in rows["speaker"].drop_nulls().unique() if not is_media(name)}
    known = rows.filter(pl.col("speaker").is_not_null()).with_columns(person=pl.col("speaker").replace(people))
    tested = known.filter(pl.col("part") == "test").select(place)
    used = known.filter(pl.col("part").is_in(["train", "dev"])).select(place)
    return tested.join(used, on=place, how="semi").select("person").unique()


def copy_rows(run: OpenRun, one: Evaluated) -> Rows:
    """Return one row per fold and clip that was left out as a copy of another."""
    found = run.folds(one)
    rows = [] if found is None else found[0].filter(pl.col("part") == DROPPED).to_dicts()
    return [
        {**one.named, "clips_of": row["corpus"]} | {name: row[name] for name in ("fold", "clip_id", "copy_of")}
        for row in rows
    ]


def fold_rows(run: OpenRun, one: Evaluated) -> Rows:
    """Return one row per fold and part of a setting, and per corpus that the part's clips are of."""
    found = run.folds(one)
    if found is None:
        return []
    counted = (
        found[0].group_by("fold", "name", "part", "corpus")
        .agg(pl.col("speaker").drop_nulls().unique().sort(), pl.len().alias("clips"))
    )  # fmt: skip
    order = pl.col("part").replace_strict({part: place for place, part in enumerate(PARTS)}, return_dtype=pl.Int32)
    lacking = found[1].get("lacking", {})
    return [_row(row, lacking) | one.named for row in counted.sort("fold", order, "corpus").to_dicts()]


def _row(row: dict[str, Any], lacking: Mapping[str, Mapping[str, list[str]]]) -> dict[str, Any]:
    speakers = row["speaker"]
    return {
        "fold": row["fold"], "name": row["name"], "part": row["part"], "clips_of": row["corpus"],
        "speakers": len(speakers), "clips": row["clips"],
        "speaker_names": "; ".join(speakers) if len(speakers) <= _LISTED else None,
        "lacks_classes": "; ".join(lacking.get(str(row["fold"]), {}).get(row["part"], [])) or None,
    }  # fmt: skip


def compact(rows: Rows) -> list[tuple[str, list[str]]]:
    """Return (name of the fold, what trains, chooses the epoch and tests, in words) for each fold of one setting.

    What was left out is added in a fourth cell where any fold has it.
    """
    parts = PARTS if any(row["part"] == "dropped" for row in rows) else PARTS[:3]
    found = []
    for fold in dict.fromkeys(row["fold"] for row in rows):
        of_fold = [row for row in rows if row["fold"] == fold]
        cells = [[_cell(row) for row in of_fold if row["part"] == part] for part in parts]
        found.append((str(of_fold[0]["name"]), ["; ".join(cell) for cell in cells]))
    return found


def _cell(row: dict[str, Any]) -> str:
    """Return what a part holds: a few speakers by name, more by number; the corpus where it is another."""
    origin = "" if row["clips_of"] == row["corpus"] else f"{row['clips_of']}: "
    clips = f"{row['clips']:,} clip{'s' if row['clips'] != 1 else ''}"
    people = f", {row['speakers']:,} speaker{'s' if row['speakers'] != 1 else ''}" if row["speakers"] else ""
    lacks = f", no {row['lacks_classes']}" if row["lacks_classes"] and row["part"] != "test" else ""
    return f"{origin}{clips}{people}{lacks}"

"""Folds: which clips train, choose and test, as the stage `folds` has written them; nobody uses those `dropped`."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from avpretext import shards
from avpretext.corpora.protocols import PARTS
from avpretext.errors import UserError
from avpretext.flow.paths import condition_of, original_of


class Clip(NamedTuple):
    """A clip as its corpus knows it; a clip whose speaker is not known is its own speaker."""

    corpus: str
    clip_id: str
    speaker: str

    @property
    def key(self) -> str:
        """Return the name of the clip among those of all corpora."""
        return f"{self.corpus}/{self.clip_id}"


@dataclass(frozen=True)
class Fold:
    """One fold, its number from 0; `parts` are names of the clips of train, dev (which may be empty) and test.

    A name is `{corpus}/{clip_id}`.
    """

    number: int
    parts: dict[str, frozenset[str]]

    def rows(self, names: Sequence[str]) -> dict[str, NDArray[np.int64]]:
        """Return the rows of each part, ascending, where the clip of row i is names[i].

        Raises
        ------
        UserError
            Fewer than two clips train, or none tests.
        """
        rows = {
            part: np.flatnonzero(np.fromiter((name in self.parts[part] for name in names), bool, len(names)))
            for part in PARTS
        }
        if len(rows["train"]) < 2 or not len(rows["test"]):
            raise UserError(
                f"fold {self.number} has {len(rows['train'])} training clips and {len(rows['test'])} test clips with"
                " features; at least 2 and 1 are needed; choose another protocol, or label more clips"
            )
        return rows

    def degraded(self, names: Sequence[str]) -> dict[str, NDArray[np.int64]]:
        """Return the rows of the test clips in each condition that names are of, ascending, by `test@{condition}`."""
        found: dict[str, list[int]] = {}
        for row, name in enumerate(names):
            if (condition := condition_of(name)) and original_of(name) in self.parts["test"]:
                found.setdefault(f"test@{condition}", []).append(row)
        return {split: np.array(rows, np.int64) for split, rows in sorted(found.items())}


@dataclass(frozen=True)
class FoldTable:
    """All folds of a setting, such as `voice.chou`, by number.

    `clips` are those that any fold uses, sorted by corpus and clip_id; `notes` what predictions repeat of the folds'
    provenance.
    """

    folds: list[Fold]
    clips: list[Clip]
    setting: str
    notes: dict[str, Any]

    @cached_property
    def by_key(self) -> dict[str, Clip]:
        """The clips by `{corpus}/{clip_id}`."""
        return {clip.key: clip for clip in self.clips}

    @property
    def corpora(self) -> list[str]:
        """The corpora of the clips, sorted."""
        return sorted({clip.corpus for clip in self.clips})

    def plain(self) -> list[list[object]]:
        """Return the folds as plain values, for `finished.fingerprint`."""
        return [[fold.number, {part: sorted(names) for part, names in fold.parts.items()}] for fold in self.folds]

    def refuse_missing(self, given: Container[str], what: str) -> None:
        """Raise an error if a corpus of the folds is not among those given; `what` is given, for the message."""
        if missing := [corpus for corpus in self.corpora if corpus not in given]:
            raise UserError(
                f"{self.setting}: the folds name {missing[0]}, of which no {what} are given; name their shards"
            )

    def speakers_of(self, corpus: str) -> dict[str, str]:
        """Return the speaker of each clip_id of a corpus or a copy; in a condition of those that are tested."""
        asked = self.test_clips if condition_of(corpus) else self.by_key
        own = [clip for clip in self.clips if clip.corpus == original_of(corpus)]
        return {clip.clip_id: clip.speaker for clip in own if clip.key in asked}

    @cached_property
    def test_clips(self) -> frozenset[str]:
        """Names of the clips that any fold tests."""
        return frozenset().union(*(fold.parts["test"] for fold in self.folds))

    def tested(self) -> list[str]:
        """Return the corpora that are tested."""
        return sorted({clip.corpus for clip in self.clips if clip.key in self.test_clips})


def read_folds(path: Path) -> FoldTable:
    """Read the folds of a setting.

    Raises
    ------
    UserError
        There is none.
    """
    rows = shards.read(path).filter(pl.col("part").is_in(PARTS))
    if rows.is_empty():
        raise UserError(f"{path}: no fold has a clip; see results/*/rejects, and the labels of the corpus")
    rows = rows.with_columns(pl.col("speaker").fill_null(pl.col("clip_id")))
    clips = rows.select("corpus", "clip_id", "speaker").unique().sort("corpus", "clip_id")
    made_by = shards.read_provenance(path)
    notes: dict[str, Any] = {name: made_by[name] for name in ("sentence", "speaker_leaks") if name in made_by}
    folds = [_fold(number, rows.filter(fold=number)) for number in rows["fold"].unique().sort().to_list()]
    return FoldTable(folds, [Clip(*row) for row in clips.iter_rows()], made_by.get("setting", path.stem), notes)


def _fold(number: int, rows: pl.DataFrame) -> Fold:
    named = rows.select("part", name=pl.concat_str("corpus", "clip_id", separator="/"))
    return Fold(number, {part: frozenset(named.filter(part=part)["name"]) for part in PARTS})

"""Which classes the parts of folds have: what no clip teaches is not learnt, and what no clip shows is not tested."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from avpretext.corpora.protocols import PARTS

_SHOWN = 4


@dataclass(frozen=True)
class Coverage:
    """The classes of a setting's clips that parts of its folds lack.

    Attributes
    ----------
    lacking
        Number of the fold: part: the classes of the tested corpus that no clip of the part has; without what is whole.
    untaught
        Name of the fold: classes that it tests and that none of its training clips has.
    without_dev
        Name of the fold: classes that its dev clips, if it has any, lack.
    untested
        Classes that no fold tests.
    folds
        Number of folds.
    """

    lacking: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    untaught: dict[str, list[str]] = field(default_factory=dict)
    without_dev: dict[str, list[str]] = field(default_factory=dict)
    untested: list[str] = field(default_factory=list)
    folds: int = 0

    @property
    def warnings(self) -> list[str]:
        """What makes scores wrong, as sentences."""
        if not self.untaught:
            return []
        what = "a class that none of their training clips has, so it cannot be recognised"
        return [f"{len(self.untaught)} of {self.folds} folds test {what}: {_of_folds(self.untaught)}"]

    @property
    def notes(self) -> list[str]:
        """What else must be known, as sentences."""
        said = []
        if self.untested:
            said.append(f"no fold tests {', '.join(map(repr, self.untested))}")
        if self.without_dev:
            what = f"{len(self.without_dev)} of {self.folds} folds choose the epoch on dev clips that lack a class"
            said.append(f"{what}: {_of_folds(self.without_dev)}")
        return said


def coverage(rows: pl.DataFrame, labels: pl.DataFrame) -> Coverage:
    """Return which classes the parts of folds lack.

    Parameters
    ----------
    rows
        `fold`, `name`, `part`, `corpus`, `clip_id`; parts other than train, dev and test count for nothing.
    labels
        `corpus`, `clip_id`, `class`: a row for each class that a clip has; empty where a number is learnt.
    """
    used = rows.filter(pl.col("part").is_in(PARTS)).select("fold", "name", "part", "corpus", "clip_id")
    tested = used.filter(pl.col("part") == "test")["corpus"].unique()
    every = set(labels.filter(pl.col("corpus").is_in(tested.implode()))["class"])
    found = used.join(labels, on=["corpus", "clip_id"]).group_by("fold", "part").agg(pl.col("class").unique())
    has = {(fold, part): set(classes) for fold, part, classes in found.iter_rows()}
    parts = set(used.select("fold", "part").unique().iter_rows())
    shown = Coverage(folds=used["fold"].n_unique())
    for fold, name in used.select("fold", "name").unique().sort("fold").iter_rows():
        of_part = {part: has.get((fold, part), set()) for part in PARTS if (fold, part) in parts}
        lacking = {part: sorted(every - classes) for part, classes in of_part.items() if every - classes}
        if lacking:
            shown.lacking[str(fold)] = lacking
        if untaught := sorted(of_part.get("test", set()) - of_part.get("train", set())):
            shown.untaught[name] = untaught
        if "dev" in lacking:
            shown.without_dev[name] = lacking["dev"]
    tested_classes = set[str]().union(*(classes for (_, part), classes in has.items() if part == "test"))
    shown.untested.extend(sorted(every - tested_classes))
    return shown


def labels_of(corpus: str, table: pl.DataFrame, classes: Sequence[str], kind: str) -> pl.DataFrame:
    """Return `corpus`, `clip_id`, `class` of each class that a clip has, from `targets`."""
    rows = table.filter(pl.col("values").is_not_null() & pl.lit(kind != "attribute")).select("clip_id", "values")
    exploded = rows.with_columns(pl.lit([*classes]).alias("class")).explode("values", "class")
    return exploded.filter(pl.col("values") > 0).select(pl.lit(corpus).alias("corpus"), "clip_id", "class")


def _of_folds(classes: dict[str, list[str]]) -> str:
    """Return the folds with their classes.

    >>> _of_folds({"1": ["sad"], "2": ["calm", "sad"]})
    "fold 1 'sad'; fold 2 'calm', 'sad'"
    """
    shown = [f"fold {name} {', '.join(map(repr, names))}" for name, names in list(classes.items())[:_SHOWN]]
    more = [f"{len(classes) - _SHOWN} more"] if len(classes) > _SHOWN else []
    return "; ".join([*shown, *more])

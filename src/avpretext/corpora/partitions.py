"""Protocol `partitions`: a corpus's own division, into train, dev and test or into folds that test in turn."""

import re
from collections.abc import Sequence

import polars as pl

from avpretext.corpora.protocols import PARTS, Division, Fold, clip_fold, numbered
from avpretext.errors import UserError, nearest
from avpretext.names import alike, quoted

JOIN = "+"
"""Between the names of partitions that test together."""

_TRAIN = {"train", "training"}
_DEV = {"dev", "development", "val", "valid", "validation"}


def partition_folds(
    clips: pl.DataFrame, test_partitions: Sequence[str] | None, dev_speakers: int, seed: int
) -> Division:
    """Return the folds that a corpus's own partitions make.

    Where there is one named train, it trains, that named dev chooses the epoch (else `dev_speakers` of the training
    speakers, drawn by seed), and all that are named test, or those chosen, test together. Otherwise each partition is a
    fold that tests once, or only those chosen, and the next is dev.

    Parameters
    ----------
    clips
        `clip_id`, `speaker`, `partition`; the last null where the corpus has none for the clip.
    test_partitions
        Those that test; None for all named test, or all.

    Raises
    ------
    UserError
        There is no partition to train on or to test; one that is chosen does not exist; fewer than three folds.
    """
    known = clips.filter(pl.col("partition").is_not_null())
    names = sorted(known["partition"].unique(), key=_natural)
    warnings = []
    if left_out := len(clips) - len(known):
        warnings.append(f"protocol partitions: {left_out} of {len(clips)} clips are in no partition: left out")
    for name in test_partitions or ():
        if name not in names:
            raise UserError(
                f"protocol.test_partitions: {name!r}; expected one of {', '.join(names)}{nearest(name, names)}"
            )
    has_roles = any(_role(name) in ("train", "test") for name in names)
    if (groups := alike(names)) and (test_partitions or not has_roles):
        raise UserError(
            f"protocol partitions: {quoted(groups)} differ only in case, white space, zeros or Unicode form: give one"
            " partition one name"
        )
    if has_roles:
        fold, more = _fold_of_roles(known, names, test_partitions, dev_speakers, seed)
        return Division([fold], f"the corpus's own, {fold.name} tests", (*warnings, *more))
    folds = _folds_of_groups(known, names, test_partitions)
    return Division(folds, "the corpus's own, each tests once and the next is dev", tuple(warnings))


def _fold_of_roles(
    clips: pl.DataFrame, names: Sequence[str], chosen: Sequence[str] | None, dev_speakers: int, seed: int
) -> tuple[Fold, list[str]]:
    """Return the fold of partitions named train, dev and test, and a warning of those left out."""
    test = list(chosen or [name for name in names if _role(name) == "test"])
    train, dev = ([name for name in names if _role(name) == role and name not in test] for role in ("train", "dev"))
    for role, found in (("train", train), ("test", test)):
        if not found:
            raise UserError(
                f"protocol partitions: none of {', '.join(names)} is left to {role};"
                " set protocol.test_partitions to those that test"
            )
    parts = {
        part: clips.filter(pl.col("partition").is_in(group))["clip_id"].to_list()
        for part, group in zip(PARTS, (train, dev, test), strict=True)
    }
    unused = [name for name in names if _role(name) is None and name not in test]
    warnings = [f"protocol partitions: clips of {', '.join(unused)} are left out"] if unused else []
    return clip_fold(0, JOIN.join(test), clips, parts, dev_speakers, seed), warnings


def _folds_of_groups(clips: pl.DataFrame, names: Sequence[str], chosen: Sequence[str] | None) -> list[Fold]:
    """Return a fold for each partition, or each that is chosen; the next one is dev."""
    if len(names) < 3:
        raise UserError(
            f"protocol partitions: the corpus is divided into {', '.join(names) or 'nothing'}; train and test, or at"
            " least three folds, are expected: choose another protocol, such as speaker_kfold"
        )
    members = {name: tuple(clips.filter(pl.col("partition") == name)["clip_id"].sort()) for name in names}
    folds = []
    for place, name in enumerate(names):
        follower = names[(place + 1) % len(names)]
        train = sorted(clip for other in names if other not in (name, follower) for clip in members[other])
        folds.append(Fold(place, name, tuple(train), members[follower], members[name], "clip_id"))
    return numbered([fold for fold in folds if not chosen or fold.name in chosen])


def _role(partition: str) -> str | None:
    """Return what the name of a partition says that it is for.

    >>> _role("Validation"), _role(" Test1"), _role("Session2")
    ('dev', 'test', None)
    """
    name = partition.strip().lower()
    if name in _TRAIN:
        return "train"
    if name in _DEV:
        return "dev"
    return "test" if re.fullmatch(r"test(ing)?[ _-]?\d*", name) else None


def _natural(name: str) -> tuple[tuple[int, str], ...]:
    """Return what names are sorted by, so that fold 10 comes after fold 9."""
    return tuple((int(piece), "") if piece.isdigit() else (-1, piece) for piece in re.split(r"(\d+)", name))

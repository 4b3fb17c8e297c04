"""Protocols: which clips train, choose the epoch and test.

A protocol sees the clips that can be learnt from, or their speakers, and returns folds of speakers or of clips. A clip
of unknown speaker counts as a speaker of its own where speakers are dealt (`speaker_kfold`); where they are named it
trains, for no fold names it; it is never drawn to be dev. What is drawn is drawn by `seed`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from avpretext.corpora.reader import SpeakerFold
from avpretext.errors import UserError, nearest
from avpretext.names import alike, quoted

PARTS = ("train", "dev", "test")
JOIN = "+"
"""Between the names of partitions that test together."""

_SHOWN = 10
_ROLES = {"train": r"train(ing)?", "dev": r"dev(elopment)?|val(id(ation)?)?", "test": r"test(ing)?[ _-]?\d*"}


@dataclass(frozen=True)
class Fold:
    """What trains, chooses the epoch and tests, each sorted: speakers or, where made `by` them, clip_ids.

    Without dev, fine-tuning keeps the last epoch. `number` counts from 0; `name` is for people.
    """

    number: int
    name: str
    train: tuple[str, ...]
    dev: tuple[str, ...]
    test: tuple[str, ...]
    by: Literal["speaker", "clip_id"] = "speaker"


@dataclass(frozen=True)
class Division:
    """The folds of a protocol, at least one, and what should be known of them.

    `way` is how they come about, in a few words for people; `warnings` are one line each; `needs_dev` tells whether a
    fold without dev is a mistake.
    """

    folds: list[Fold]
    way: str
    warnings: tuple[str, ...] = ()
    needs_dev: bool = True

    def with_unknown(self, unknown: Iterable[str]) -> "Division":
        """Return folds of speakers in which clips of unknown speaker train, each being a speaker of its own."""
        more = set(unknown)
        return replace(self, folds=[replace(fold, train=tuple(sorted({*fold.train, *more}))) for fold in self.folds])


def assign(fold: Fold, clips: pl.DataFrame) -> pl.DataFrame:
    """Return the clips of a fold, with `fold`, its number, `name` and `part`; clips in no part are left out.

    A clip that lists name in two parts has a row for each. `clips` has the column that the fold is made by.
    """
    member = [(name, part) for part in PARTS for name in getattr(fold, part)]
    parts = pl.DataFrame(member, schema={fold.by: pl.String, "part": pl.String}, orient="row")
    number, name = pl.lit(fold.number, pl.Int32).alias("fold"), pl.lit(fold.name).alias("name")
    return clips.join(parts, on=fold.by, how="inner", maintain_order="left_right").with_columns(number, name)


def draw_speakers(speakers: Iterable[str], count: int, seed: Sequence[int], where: str) -> list[str]:
    """Return `count` speakers, sorted; it is an error if none would be left to train."""
    known = sorted(set(speakers))
    if len(known) <= count:
        raise UserError(
            f"{where}: {len(known)} speakers are left for train and dev; more than protocol.dev_speakers = {count} are"
            " needed; lower it, or test fewer speakers"
        )
    return sorted(np.random.default_rng(list(seed)).permutation(known)[:count].tolist())


def _speaker_fold(number: int, name: str, speakers: Iterable[str], dev: Sequence[str], test: Sequence[str]) -> Fold:
    train = set(speakers) - set(dev) - set(test)
    return Fold(number, name, tuple(sorted(train)), tuple(sorted(dev)), tuple(sorted(test)))


def _drawn_fold(number: int, name: str, known: Sequence[str], test: Sequence[str], count: int, seed: int) -> Fold:
    """Return the fold of these test speakers; `count` of the others are dev."""
    rest = [speaker for speaker in known if speaker not in test]
    dev = draw_speakers(rest, count, [seed, number], f"protocol, fold {name!r}")
    return _speaker_fold(number, name, known, dev, test)


def speaker_kfold(speakers: Sequence[str], folds: int, seed: int) -> list[Fold]:
    """Deal the speakers to folds of about equally many clips; each group tests once and is dev for the group before.

    `speakers` has the speaker of each clip. At least 3 folds are needed, for train, dev and test. The seed breaks ties
    between speakers with equally many clips.
    """
    clips = Counter(speakers)
    if len(clips) < folds:
        fix = f"set protocol.folds to {len(clips)}" if len(clips) >= 3 else "add speakers: 3 is the least"
        raise UserError(f"{len(clips)} speakers have labelled clips; {folds} folds need as many speakers; {fix}")
    groups: list[list[str]] = [[] for _ in range(folds)]
    load = [0] * folds
    order = np.random.default_rng([seed, 0]).permutation(sorted(clips)).tolist()
    for speaker in sorted(order, key=lambda name: -clips[name]):
        lightest = min(range(folds), key=lambda group: (load[group], len(groups[group]), group))
        groups[lightest].append(speaker)
        load[lightest] += clips[speaker]
    return [_speaker_fold(k, str(k + 1), clips, groups[(k + 1) % folds], groups[k]) for k in range(folds)]


def leave_one_speaker_out(speakers: Iterable[str], dev_speakers: int, seed: int) -> list[Fold]:
    """Return a fold for each speaker, who tests; `dev_speakers` of the others are dev."""
    known = sorted(set(speakers))
    return [
        _drawn_fold(number, f"speaker {speaker}", known, [speaker], dev_speakers, seed)
        for number, speaker in enumerate(known)
    ]


def folds_by_test_speakers(
    speakers: Iterable[str], test_speakers: Sequence[Sequence[str]] | None, dev_speakers: int, seed: int
) -> list[Fold]:
    """Return one fold for each list of test speakers; `dev_speakers` of the others are dev.

    It is an error if there are no lists, if one is empty or names a speaker without clips, or if too few are left.
    """
    known = sorted(set(speakers))
    if not test_speakers:
        raise UserError(
            "protocol.name is 'speakers' and protocol.test_speakers is empty; list the test speakers of each fold"
        )
    for number, test in enumerate(test_speakers):
        if not test:
            raise UserError(f"protocol.test_speakers: the list of fold {number} is empty; name its test speakers")
        if absent := [speaker for speaker in test if speaker not in known]:
            raise UserError(
                f"protocol.test_speakers: {absent[0]!r} has no labelled clip{nearest(absent[0], known)};"
                f" speakers are {', '.join(known[:20])}"
            )
    return [_drawn_fold(k, str(k + 1), known, test, dev_speakers, seed) for k, test in enumerate(test_speakers)]


def published_folds(
    speakers: Iterable[str], folds: Sequence[SpeakerFold], dev_speakers: int, seed: int, name: str
) -> Division:
    """Return the folds of a published protocol, as far as the corpus has its speakers.

    A fold without any test speaker is left out; where all dev speakers of a fold are absent, `dev_speakers` of its
    training speakers are drawn, as where the protocol leaves the choice open. Names keep the published count. It is an
    error if none of the test speakers is there.
    """
    present = sorted(set(speakers))
    warnings, made = _absent(present, folds, name), []
    for place, fold in enumerate(folds):
        test, dev = ([one for one in named if one in present] for named in (fold.test, fold.dev or ()))
        label = str(place + 1)
        if not test:
            warnings.append(
                f"protocol {name}: fold {label} is left out: none of its test speakers {_some(fold.test)} is there"
            )
        elif dev or fold.dev == ():
            made.append(_speaker_fold(place, label, present, dev, test))
        else:
            if fold.dev:
                warnings.append(f"protocol {name}: fold {label}: none of its dev speakers is there; some are drawn")
            made.append(_drawn_fold(place, label, present, test, dev_speakers, seed))
    if not made:
        raise UserError(
            f"protocol {name}: none of its test speakers, such as {_some(folds[0].test)}, is among the speakers with"
            f" labelled clips: {_some(present)}; correct corpora.NAME.reader or speakers, or choose another protocol"
        )
    way = "as published, dev speakers drawn" if any(fold.dev is None for fold in folds) else "as published"
    return Division(_numbered(made), way, tuple(warnings), any(fold.dev != () for fold in folds))


def _absent(present: Sequence[str], folds: Sequence[SpeakerFold], name: str) -> list[str]:
    """Return a warning when the corpus lacks speakers whom a published protocol tests."""
    tested = sorted({speaker for fold in folds for speaker in fold.test})
    absent = sorted(set(tested) - set(present))
    if not absent:
        return []
    return [
        f"protocol {name}: {len(absent)} of its {len(tested)} speakers have no labelled clip here ({_some(absent)}):"
        " its published figures are of more clips"
    ]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def cross_corpus_fold(train_speakers: Iterable[str], tested: Iterable[str], dev_speakers: int, seed: int) -> Fold:
    """Return the fold that trains on other corpora, `dev_speakers` of theirs being dev, and tests all of one.

    Speakers of different corpora are told apart by their names.
    """
    candidates = set(train_speakers)
    dev = draw_speakers(candidates, dev_speakers, [seed, 0], "protocol cross_corpus")
    return Fold(0, "test", tuple(sorted(candidates - set(dev))), tuple(dev), tuple(sorted(set(tested))))


def clip_fold(
    number: int, name: str, clips: pl.DataFrame, parts: dict[str, list[str]], dev_speakers: int, seed: int
) -> Fold:
    """Return a fold of `clips`: `clip_id`, `speaker`. `parts` has the clip_ids of `train`, `test` and maybe `dev`.

    Without dev, the clips of `dev_speakers` training speakers are dev.
    """
    train, dev, test = (sorted(set(parts.get(part, []))) for part in PARTS)
    if not dev:
        speaker_of = dict(clips.filter(pl.col("speaker").is_not_null()).select("clip_id", "speaker").iter_rows())
        candidates = {speaker_of[clip_id] for clip_id in train if clip_id in speaker_of}
        drawn = set(draw_speakers(candidates, dev_speakers, [seed, number], f"fold {name!r}"))
        dev = [clip_id for clip_id in train if speaker_of.get(clip_id) in drawn]
        train = sorted(set(train) - set(dev))
    return Fold(number, name, tuple(train), tuple(dev), tuple(test), "clip_id")


def partition_folds(
    clips: pl.DataFrame, test_partitions: Sequence[str] | None, dev_speakers: int, seed: int
) -> Division:
    """Return the folds that a corpus's own partitions make.

    Where there is one named train, it trains, that named dev chooses the epoch (else `dev_speakers` of the training
    speakers are drawn), and all that are named test, or those chosen, test together. Otherwise each partition is a fold
    that tests once, or only those chosen, and the next is dev.

    `clips` has `clip_id`, `speaker`, `partition`, null where the corpus has none for the clip. It is an error if there
    is no partition to train on or to test, if one that is chosen does not exist, and if there are fewer than three
    folds.
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
    return _numbered(fold for fold in folds if not chosen or fold.name in chosen)


def _numbered(folds: Iterable[Fold]) -> list[Fold]:
    return [replace(fold, number=number) for number, fold in enumerate(folds)]


def _role(partition: str) -> str | None:
    """Return what a partition is for, by its name.

    >>> _role("Validation"), _role(" Test1"), _role("Session2")
    ('dev', 'test', None)
    """
    name = partition.strip().lower()
    return next((role for role, names in _ROLES.items() if re.fullmatch(names, name)), None)


def _natural(name: str) -> tuple[tuple[int, str], ...]:
    """Return what names are sorted by, so that fold 10 comes after fold 9."""
    return tuple((int(piece), "") if piece.isdigit() else (-1, piece) for piece in re.split(r"(\d+)", name))

"""Protocols: which clips train, choose the epoch and test.

A protocol sees the clips that can be learnt from, or their speakers, and returns folds of speakers or of clips. A clip
of unknown speaker counts as a speaker of its own where speakers are dealt (`speaker_kfold`); where they are named it
trains, for no fold names it; it is never drawn to be dev.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from avpretext.corpora.reader import SpeakerFold
from avpretext.errors import UserError, nearest

PARTS = ("train", "dev", "test")
_SHOWN = 10


@dataclass(frozen=True)
class Fold:
    """What trains, chooses the epoch and tests; each part sorted.

    Attributes
    ----------
    number
        From 0.
    name
        For people.
    train, dev, test
        Speakers, or clip_ids; without dev, fine-tuning keeps the last epoch.
    by
        What they are.
    """

    number: int
    name: str
    train: tuple[str, ...]
    dev: tuple[str, ...]
    test: tuple[str, ...]
    by: Literal["speaker", "clip_id"] = "speaker"


@dataclass(frozen=True)
class Division:
    """The folds of a protocol, and what should be known of them.

    Attributes
    ----------
    folds
        At least one.
    way
        How they come about, a few words for people.
    warnings
        One line each.
    needs_dev
        Whether a fold without dev is a mistake.
    """

    folds: list[Fold]
    way: str
    warnings: tuple[str, ...] = ()
    needs_dev: bool = True


def speaker_kfold(speakers: Sequence[str], folds: int, seed: int) -> list[Fold]:
    """Deal the speakers to folds of about equally many clips; each group tests once and is dev for the group before.

    Parameters
    ----------
    speakers
        The speaker of each clip.
    folds
        Number of groups, at least 3, for train, dev and test.
    seed
        Breaks ties between speakers with equally many clips.
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
    return [
        _speaker_fold(number, str(number + 1), clips, groups[(number + 1) % folds], groups[number])
        for number in range(folds)
    ]


def leave_one_speaker_out(speakers: Iterable[str], dev_speakers: int, seed: int) -> list[Fold]:
    """Return a fold for each speaker, who tests; `dev_speakers` of the others, drawn by seed, are dev."""
    known = sorted(set(speakers))
    return [
        _with_drawn_dev(number, f"speaker {speaker}", known, [speaker], dev_speakers, seed)
        for number, speaker in enumerate(known)
    ]


def folds_by_test_speakers(
    speakers: Iterable[str], test_speakers: Sequence[Sequence[str]] | None, dev_speakers: int, seed: int
) -> list[Fold]:
    """Return one fold for each list of test speakers; `dev_speakers` of the others, drawn by seed, are dev.

    Raises
    ------
    UserError
        There are no lists; one is empty, or names a speaker without clips; too few speakers are left.
    """
    known = sorted(set(speakers))
    if not test_speakers:
        raise UserError(
            "protocol.name is 'speakers' and protocol.test_speakers is empty; list the test speakers of each fold"
        )
    for number, test in enumerate(test_speakers):
        if not test:
            raise UserError(f"protocol.test_speakers: the list of fold {number} is empty; name its test speakers")
        for speaker in test:
            if speaker not in known:
                raise UserError(
                    f"protocol.test_speakers: {speaker!r} has no labelled clip{nearest(speaker, known)};"
                    f" speakers are {', '.join(known[:20])}"
                )
    return [
        _with_drawn_dev(number, str(number + 1), known, test, dev_speakers, seed)
        for number, test in enumerate(test_speakers)
    ]


def published_folds(
    speakers: Iterable[str], folds: Sequence[SpeakerFold], dev_speakers: int, seed: int, name: str
) -> Division:
    """Return the folds of a published protocol, as far as the corpus has its speakers.

    A fold without any test speaker is left out; where all dev speakers of a fold are absent, `dev_speakers` of its
    training speakers are drawn by seed, as where the protocol leaves the choice open. Names keep the published count.

    Parameters
    ----------
    speakers
        Those of the corpus's clips.
    folds
        As published, in the order published.
    name
        Of the protocol, for messages.

    Raises
    ------
    UserError
        None of the test speakers is there.
    """
    present = sorted(set(speakers))
    warnings = _absent(present, folds, name)
    made = []
    for place, fold in enumerate(folds):
        test, dev = _those(fold.test, present), _those(fold.dev or (), present)
        label = str(place + 1)
        if not test:
            warnings.append(
                f"protocol {name}: fold {label} is left out: none of its test speakers {_some(fold.test)} is there"
            )
        elif fold.dev is None or (fold.dev and not dev):
            if fold.dev:
                warnings.append(f"protocol {name}: fold {label}: none of its dev speakers is there; some are drawn")
            made.append(_with_drawn_dev(place, label, present, test, dev_speakers, seed))
        else:
            made.append(_speaker_fold(place, label, present, dev, test))
    if not made:
        raise UserError(
            f"protocol {name}: none of its test speakers, such as {_some(folds[0].test)}, is among the speakers with"
            f" labelled clips: {_some(present)}; correct corpora.NAME.reader or speakers, or choose another protocol"
        )
    way = "as published, dev speakers drawn" if any(fold.dev is None for fold in folds) else "as published"
    return Division(numbered(made), way, tuple(warnings), any(fold.dev != () for fold in folds))


def cross_corpus_fold(train_speakers: Iterable[str], tested: Iterable[str], dev_speakers: int, seed: int) -> Fold:
    """Return the fold that trains on other corpora and tests all of one.

    Parameters
    ----------
    train_speakers
        Of the other corpora, told apart from those of the tested one by their names.
    tested
        Speakers of the tested corpus.
    dev_speakers
        This many of the training speakers, drawn by seed, are dev.
    """
    candidates = set(train_speakers)
    dev = draw_speakers(candidates, dev_speakers, [seed, 0], "protocol cross_corpus")
    train = candidates - set(dev)
    return Fold(0, "test", tuple(sorted(train)), tuple(dev), tuple(sorted(set(tested))))


def clip_fold(
    number: int, name: str, clips: pl.DataFrame, parts: dict[str, list[str]], dev_speakers: int, seed: int
) -> Fold:
    """Return a fold of clips; without dev, the clips of `dev_speakers` training speakers, drawn by seed, are dev.

    Parameters
    ----------
    clips
        `clip_id`, `speaker`.
    parts
        The clip_ids of `train`, `test` and, perhaps, `dev`.
    """
    train, dev, test = (sorted(set(parts.get(part, []))) for part in PARTS)
    if not dev:
        speaker_of = dict(clips.filter(pl.col("speaker").is_not_null()).select("clip_id", "speaker").iter_rows())
        candidates = {speaker_of[clip_id] for clip_id in train if clip_id in speaker_of}
        drawn = set(draw_speakers(candidates, dev_speakers, [seed, number], f"fold {name!r}"))
        dev = [clip_id for clip_id in train if speaker_of.get(clip_id) in drawn]
        train = sorted(set(train) - set(dev))
    return Fold(number, name, tuple(train), tuple(dev), tuple(test), "clip_id")


def draw_speakers(speakers: Iterable[str], count: int, seed: Sequence[int], where: str) -> list[str]:
    """Return `count` speakers drawn by seed, sorted.

    Raises
    ------
    UserError
        None would be left to train.
    """
    known = sorted(set(speakers))
    if len(known) <= count:
        raise UserError(
            f"{where}: {len(known)} speakers are left for train and dev; more than protocol.dev_speakers = {count} are"
            " needed; lower it, or test fewer speakers"
        )
    return sorted(np.random.default_rng(list(seed)).permutation(known)[:count].tolist())


def with_unknown(fold: Fold, unknown: Iterable[str]) -> Fold:
    """Return a fold of speakers in which clips of unknown speaker train, each being a speaker of its own."""
    return replace(fold, train=tuple(sorted({*fold.train, *unknown})))


def assign(fold: Fold, clips: pl.DataFrame) -> pl.DataFrame:
    """Return the clips of a fold, with `fold`, its number, `name` and `part`; clips in no part are left out.

    A clip that lists name in two parts has a row for each.

    Parameters
    ----------
    clips
        One row per clip, with the column that the fold is made by.
    """
    member = [(name, part) for part in PARTS for name in getattr(fold, part)]
    parts = pl.DataFrame(member, schema={fold.by: pl.String, "part": pl.String}, orient="row")
    number, name = pl.lit(fold.number, pl.Int32).alias("fold"), pl.lit(fold.name).alias("name")
    return clips.join(parts, on=fold.by, how="inner", maintain_order="left_right").with_columns(number, name)


def numbered(folds: Sequence[Fold]) -> list[Fold]:
    """Return folds numbered from 0, their names kept."""
    return [replace(fold, number=number) for number, fold in enumerate(folds)]


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


def _those(named: Iterable[str], present: Sequence[str]) -> list[str]:
    return [speaker for speaker in named if speaker in present]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _with_drawn_dev(
    number: int, name: str, known: Sequence[str], test: Sequence[str], dev_speakers: int, seed: int
) -> Fold:
    rest = [speaker for speaker in known if speaker not in test]
    return _speaker_fold(
        number, name, known, draw_speakers(rest, dev_speakers, [seed, number], f"protocol, fold {name!r}"), test
    )


def _speaker_fold(number: int, name: str, speakers: Iterable[str], dev: Sequence[str], test: Sequence[str]) -> Fold:
    train = set(speakers) - set(dev) - set(test)
    return Fold(number, name, tuple(sorted(train)), tuple(sorted(dev)), tuple(sorted(test)))

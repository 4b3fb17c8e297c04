"""Protocols: which speakers train, choose the epoch and test. No speaker is ever in two of the three."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avpretext.config import FinetuneOptions
from avpretext.errors import UserError, nearest


@dataclass(frozen=True)
class Fold:
    """Speakers of one fold, each part sorted."""

    number: int
    train: tuple[str, ...]
    dev: tuple[str, ...]
    test: tuple[str, ...]


def make_folds(speakers: Sequence[str], options: FinetuneOptions, seed: int) -> list[Fold]:
    """Return the folds of the chosen protocol, checked for leaks.

    Parameters
    ----------
    speakers
        The speaker of each labelled clip.
    options
        `protocol`, and what it needs.
    seed
        What speakers are drawn by.
    """
    if options.protocol == "speakers":
        folds = folds_by_test_speakers(speakers, options.test_speakers, options.dev_speakers, seed)
    else:
        folds = speaker_kfold(speakers, options.folds, seed)
    for fold in folds:
        check_no_leak(fold)
    return folds


def speaker_kfold(speakers: Sequence[str], folds: int, seed: int) -> list[Fold]:
    """Deal the speakers to folds of about equally many clips; each group tests once and is dev for the group before.

    Parameters
    ----------
    speakers
        The speaker of each labelled clip.
    folds
        Number of groups, at least 3, for train, dev and test.
    seed
        Breaks ties between speakers with equally many clips.
    """
    clips = Counter(speakers)
    if len(clips) < folds:
        fix = f"set finetune.folds to {len(clips)}" if len(clips) >= 3 else "add speakers: 3 is the least"
        raise UserError(f"{len(clips)} speakers have labelled clips; {folds} folds need as many speakers; {fix}")
    groups: list[list[str]] = [[] for _ in range(folds)]
    load = [0] * folds
    order = np.random.default_rng([seed, 0]).permutation(sorted(clips)).tolist()
    for speaker in sorted(order, key=lambda name: -clips[name]):
        lightest = min(range(folds), key=lambda group: (load[group], len(groups[group]), group))
        groups[lightest].append(speaker)
        load[lightest] += clips[speaker]
    return [_fold(number, clips, groups[(number + 1) % folds], groups[number]) for number in range(folds)]


def folds_by_test_speakers(
    speakers: Sequence[str], test_speakers: Sequence[Sequence[str]] | None, dev_speakers: int, seed: int
) -> list[Fold]:
    """Return one fold for each list of test speakers; `dev_speakers` of the others, drawn by seed, are dev."""
    known = sorted(set(speakers))
    if not test_speakers:
        raise UserError(
            "finetune.protocol is 'speakers' and finetune.test_speakers is empty; list the test speakers of each fold"
        )
    folds = []
    for number, test in enumerate(test_speakers):
        for speaker in test:
            if speaker not in known:
                raise UserError(
                    f"finetune.test_speakers: {speaker!r} has no labelled clip{nearest(speaker, known)};"
                    f" speakers are {', '.join(known[:20])}"
                )
        rest = [speaker for speaker in known if speaker not in test]
        if len(rest) <= dev_speakers:
            raise UserError(
                f"finetune.test_speakers, fold {number}: {len(rest)} speakers are left for train and dev;"
                f" more than dev_speakers = {dev_speakers} are needed; lower it, or test fewer speakers"
            )
        dev = np.random.default_rng([seed, number]).permutation(rest)[:dev_speakers].tolist()
        folds.append(_fold(number, Counter(speakers), dev, test))
    return folds


def check_no_leak(fold: Fold) -> None:
    """Raise when a speaker is in two parts of a fold, or a part is empty."""
    train, dev, test = set(fold.train), set(fold.dev), set(fold.test)
    shared = (train & dev) | (train & test) | (dev & test)
    if shared:
        raise ValueError(f"fold {fold.number}: speakers {sorted(shared)} are in more than one of train, dev and test")
    if not (train and dev and test):
        raise ValueError(f"fold {fold.number}: train, dev and test have {len(train)}, {len(dev)}, {len(test)} speakers")


def _fold(number: int, clips: Counter[str], dev: Sequence[str], test: Sequence[str]) -> Fold:
    train = set(clips) - set(dev) - set(test)
    return Fold(number, tuple(sorted(train)), tuple(sorted(dev)), tuple(sorted(test)))

"""The demo's raters: who hears, sees, or does both, names an emotion, as CREMA-D's `tabulatedVotes.csv` counts it.

A rater names the true emotion with a probability that is the clarity of the clip, and else one that people take it for.
Clarity is what an observer who knows how each emotion is said and shown would believe in the true one: the posterior
probability, all emotions being as likely, of the clip's prosody, or of its mean action units, under normal
distributions around those of each emotion. These are so wide that, in the demo as it comes, 41 % of the listeners'
votes are for the true emotion, 62 % of the viewers' and 80 % of those who do both; in CREMA-D 41, 58 and 63 %.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avpretext import shards
from avpretext.demo.clips import Performance
from avpretext.demo.emotions import EMOTIONS, PROSODY, PROTOTYPES, SCATTER, TABLES
from avpretext.demo.muscles import ACTION_UNITS, MOVEMENTS

FILE = "tabulatedVotes.csv"
HEADER = ("", *(emotion[0] for emotion in EMOTIONS), "fileName", "numResponses", "agreement", "emoVote")
"""The columns of CREMA-D's table; those of rated intensities, which it has besides, are left out."""

RATERS = 10
"""Raters of each clip in each group, CREMA-D's median."""

GROUPS = {"voice": 1, "face": 2, "both": 3}
"""What raters hear or see, and the digit that their rows' numbers start with."""

DOUBT: Mapping[str, float] = {"voice": 3.0, "face": 0.5}
"""How wide raters take an emotion to be: the prosody in deviations of its scatter, action units in intensity."""

SHOWN = 0.7
"""Mean intensity of an expression over a clip, of that of its prototype: onset, offset and the usual strength."""

TAKEN_FOR: Mapping[str, Mapping[str, Sequence[float]]] = TABLES["taken_for"]
"""What a missed emotion is taken for: of CREMA-D's votes that are not for the acted emotion, the share of each other.

Raters who hear and see take the mean of both.
"""

_SPEECH_UNITS = ("AU25", "AU26", "AU43")
"""Moved by words and blinks too, so no sign of an emotion."""

_UNITS = tuple(unit for unit in ACTION_UNITS if unit not in _SPEECH_UNITS)
_SAID = np.array([astuple(PROSODY[emotion]) for emotion in EMOTIONS])
_SPREAD = np.array(astuple(SCATTER))
_SEEN = SHOWN * np.array([[PROTOTYPES[emotion].get(unit, 0.0) for unit in _UNITS] for emotion in EMOTIONS])

Shares = NDArray[np.float64]


def write_votes(path: Path, clips: Iterable[Performance], seed: int) -> None:
    """Write the table of votes of these clips: listeners, then viewers, then those who did both.

    `seed` is that of the demo corpus; the votes on a clip do not depend on the other clips.
    """
    voted = [(clip.plan.clip_id, votes_on(clip, seed)) for clip in clips]
    with shards.atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        writer.writerow(HEADER)
        for group, digit in GROUPS.items():
            for number, (clip_id, votes) in enumerate(voted, 1):
                counts, most = votes[group].tolist(), int(votes[group].max())
                # Emotions that tie for the most votes are written as `A:D`.
                winners = ":".join(name[0] for name, count in zip(EMOTIONS, counts, strict=True) if count == most)
                writer.writerow([f"{digit}{number:05d}", *counts, clip_id, sum(counts), most / sum(counts), winners])


def votes_on(clip: Performance, seed: int) -> dict[str, NDArray[np.int64]]:
    """Return the votes of each group of raters on a clip, (6,) in the order of `EMOTIONS`."""
    believed, plan = beliefs(clip), clip.plan
    entropy = [seed, 7, *plan.clip_id.encode("utf-8")]
    return {
        group: np.random.default_rng([*entropy, digit]).multinomial(RATERS, named(plan.emotion, believed[group], group))
        for group, digit in GROUPS.items()
    }


def beliefs(clip: Performance) -> dict[str, Shares]:
    """Return the probability (6,) that an observer of each group gives each emotion."""
    units = clip.movements[:, [MOVEMENTS.index(unit) for unit in _UNITS]].mean(axis=0)
    likelihoods = {
        "voice": _log_likelihood(np.array(astuple(clip.prosody)), _SAID, DOUBT["voice"] * _SPREAD),
        "face": _log_likelihood(units, _SEEN, np.full(len(_UNITS), DOUBT["face"])),
    }
    likelihoods["both"] = likelihoods["voice"] + likelihoods["face"]
    weights = {group: np.exp(values - values.max()) for group, values in likelihoods.items()}
    return {group: values / values.sum() for group, values in weights.items()}


def _log_likelihood(measured: Shares, usual: Shares, deviations: Shares) -> Shares:
    """Return the logarithm, but for a constant, of how likely each emotion (rows of `usual`) makes the measured."""
    likelihood: Shares = -0.5 * np.square((measured - usual) / deviations).sum(axis=1)
    return likelihood


def named(emotion: str, believed: Shares, group: str) -> Shares:
    """Return the probability (6,) that a rater names each emotion, by what an observer of the group believes, (6,).

    What is believed of the true emotion is the clarity of the clip.
    """
    tables = TAKEN_FOR.values() if group == "both" else [TAKEN_FOR[group]]
    missed = np.mean([table[emotion] for table in tables], axis=0)
    place = EMOTIONS.index(emotion)
    shares: Shares = (1 - believed[place]) * missed / missed.sum()
    shares[place] = believed[place]
    return shares

"""Stage `phone_scores`: phone intervals against the true ones, frames that are right, how far boundaries are off."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config import Config
from avpretext.errors import UserError
from avpretext.evaluation import formats
from avpretext.evaluation.open_run import OpenRun, Rows
from avpretext.orofacial.phone_files import Label, to_phones
from avpretext.orofacial.visemes import PHONES, SILENCE, covering, phones_on_grid
from avpretext.refusal import Refusal

FRAMES_HZ = 100.0
"""Frames that are compared, per second."""


def run(config: Config, output: Path) -> None:
    """Write how well the phones of each corpus with known truth are told: corpus, measure, value.

    Truth without phonemes is an error.

    Parameters
    ----------
    output
        The CSV table.
    """
    opened, rows = OpenRun(config), Rows()
    true = opened.truth("phonemes")
    if true is None:
        raise UserError("the truth of no corpus has phonemes.parquet: correct `truth` of the corpora")
    for corpus in config.with_truth():
        heard = shards.read(opened.plan.shards(corpus, "split.audio"), ["clip_id"])
        spoken = true.join(heard, on="clip_id", how="semi", maintain_order="left")
        measured = scores(shards.read(opened.plan.shards(corpus, "phones")), spoken, len(heard))
        rows += [{"corpus": corpus, "measure": measure, "value": value} for measure, value in measured.items()]
    formats.write_csv(output, ["corpus", "measure", "value"], rows, places=6)


def scores(found: pl.DataFrame, true: pl.DataFrame, clips: int) -> dict[str, float]:
    """Score `found`, the rows of `phones` of a corpus of `clips` clips, against the truth.

    `true` has `clip_id`, `start_s`, `end_s`, `phoneme`: IPA of espeak-ng; nothing where nobody speaks.

    Returns
    -------
    `clips_found`, the share of clips with phones. Of these: `phones_right` and `visemes_right`, the share of 10 ms
    frames of speech that have the true phone or class; `frames_right`, the share of all frames, silence among them,
    that have the true phone; `boundary_median_ms` and `boundary_p90_ms`, how far the start of a phone is off that both
    have, in half of all cases and in nine of ten; `boundary_bias_ms`, the median with its sign, above 0: too late.
    """
    table = dict(found.select("phone", "viseme").unique().iter_rows())
    phones, visemes, errors, spoken, frames, frames_right = 0, 0, list[NDArray[np.float64]](), 0, 0, 0
    truth = true.partition_by("clip_id", as_dict=True)
    for key, measured in found.partition_by("clip_id", as_dict=True, maintain_order=True).items():
        if key not in truth:
            continue
        known = true_intervals(truth[key], measured["end_s"][-1])
        count = round(measured["end_s"][-1] * FRAMES_HZ)
        ours, theirs = (phones_on_grid(rows, count, FRAMES_HZ, PHONES, "phone") for rows in (measured, known))
        speech, same = theirs != PHONES.index(SILENCE), ours == theirs
        # A phone that nobody was found to say has no class in the table: it is right of nothing.
        classes = np.array([table.get(phone, phone) for phone in PHONES])
        phones += int(same[speech].sum())
        visemes += int((classes[ours] == classes[theirs])[speech].sum())
        spoken, frames, frames_right = spoken + int(speech.sum()), frames + count, frames_right + int(same.sum())
        errors.append(boundary_errors(measured, known))
    if not spoken:
        return {"clips_found": 0.0}
    result = {
        "clips_found": found["clip_id"].n_unique() / clips,
        "phones_right": phones / spoken,
        "visemes_right": visemes / spoken,
        "frames_right": frames_right / frames,
    }
    if len(off_ms := 1000 * np.concatenate(errors)):
        median, ninth = np.quantile(np.abs(off_ms), [0.5, 0.9]).tolist()
        bias = float(np.median(off_ms))
        result |= {"boundary_median_ms": median, "boundary_p90_ms": ninth, "boundary_bias_ms": bias}
    return result


def true_intervals(rows: pl.DataFrame, duration_s: float) -> pl.DataFrame:
    """Return the true phonemes of a clip as intervals that cover it: `start_s`, `end_s`, `phone`."""
    intervals = to_phones(Label(*row) for row in rows.select("start_s", "end_s", "phoneme").iter_rows())
    if isinstance(intervals, Refusal):
        raise ValueError(f"the truth has phonemes that orofacial/phone_labels.yaml lacks: {intervals.detail}")
    covered = covering(intervals, duration_s)
    return pl.DataFrame([one[:3] for one in covered], ["start_s", "end_s", "phone"], orient="row")


def boundary_errors(measured: pl.DataFrame, known: pl.DataFrame) -> NDArray[np.float64]:
    """Return how much later than in truth each phone starts that both have, in seconds.

    Phones are paired in order, with as few left over or exchanged as possible (edit distance). The start of the clip is
    no boundary.
    """
    first, second = measured["phone"].to_list(), known["phone"].to_list()
    starts, true_starts = measured["start_s"].to_numpy(), known["start_s"].to_numpy()
    found = [(i, j) for i, j in paired(first, second) if i and j]
    return np.array([starts[i] - true_starts[j] for i, j in found], np.float64)


def paired(first: Sequence[str], second: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of equal items in an alignment of two sequences with the least edit distance.

    >>> paired("abcd", "xbd")
    [(1, 1), (3, 2)]
    """
    n, m = len(first), len(second)
    cost = np.zeros((n + 1, m + 1), int)
    cost[:, 0], cost[0] = np.arange(n + 1), np.arange(m + 1)
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            change = cost[i - 1, j - 1] + (first[i - 1] != second[j - 1])
            cost[i, j] = min(change, cost[i - 1, j] + 1, cost[i, j - 1] + 1)
    found = []
    i, j = n, m
    while i and j:
        if cost[i, j] == cost[i - 1, j - 1] + (first[i - 1] != second[j - 1]):
            i, j = i - 1, j - 1
            if first[i] == second[j]:
                found.append((i, j))
        elif cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
        else:
            j -= 1
    return found[::-1]

"""The report's first screen: what kind of run it is, and whether its data and labels can be trusted at a glance."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl
from markupsafe import Markup

from avpretext.corpora.settings import NUMBERS
from avpretext.evaluation import label_counts
from avpretext.evaluation.open_run import OpenRun, Rows
from avpretext.report import figures
from avpretext.report.clip import SURE
from avpretext.report.gains import Gain

MOST_REFUSED = 0.05
"""A larger share of refused clips is to be looked at."""

LEAST_FACES = 0.9
"""A face in a smaller share of the frames is to be looked at."""

LEAST_BALANCE = 0.25
"""A label so much rarer than if all were equally frequent is to be looked at."""

LEAST_SPEAKERS = 20
"""With fewer test speakers a gain of some hundredths cannot be told from luck."""

MOST_UNSURE = 0.5
"""A larger share of emotion labels whose confidence is below `SURE` is to be looked at."""

VERDICTS = 3
"""So many settings have their verdict on the first screen; the sections have all."""


class Check(NamedTuple):
    """One point of trust: its name, a phrase, whether it is fine, and the section that shows it."""

    name: str
    says: str
    fine: bool
    section: str


def sections(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the sections that a page has, with their short titles, in order."""
    parts = {
        "overall": ("All corpora", facts["overall"]),
        "results": ("Results", facts["results"]),
        "confusions": ("Classes", any(one["classes"] for one in facts["results"])),
        "trust": ("Trust", facts["trust"]),
        "search": ("Search", facts["search"]),
        "data": ("Data", True),
        "features": ("Features", facts["features"]),
        "labels": ("Labels", facts["balance"]),
        "faces": ("Faces", facts["faces"]),
        "sample": ("A clip", facts["sample"]),
        "clips": ("All clips", facts["explorer"]),
        "training": ("Training", facts["pretrain"] or facts["results"]),
        "truth": ("Truth", facts["truth"] or facts["truth_units"]),
        "provenance": ("Provenance", True),
    }
    return {name: title for name, (title, there) in parts.items() if there}


def kind(facts: Mapping[str, Any]) -> str:
    """Return how far a run got: `compared`, `scored`, `pretrained`, `labelled` or `read`."""
    if any(one["gains"] for one in (*facts["overall"], *facts["results"])):
        return "compared"
    if facts["results"]:
        return "scored"
    if facts["pretrain"]:
        return "pretrained"
    return "labelled" if facts["balance"] else "read"


def difference(facts: Mapping[str, Any]) -> tuple[str, Markup] | None:
    """Draw what pre-training changes: over all corpora, or in the first setting that is compared.

    The heading of these comes first; None where nothing is compared.
    """
    compared = [one for one in (*facts["overall"], *facts["results"]) if one["gains"]]
    if not compared:
        return None
    found: Sequence[Gain] = compared[0]["gains"]
    title = f"{compared[0]['measure']}, difference to scratch"
    marks = [gain.mark for gain in found]
    chart = figures.intervals(marks, "first-difference", title[0].upper() + title[1:], zero=0.0, sign=True)
    return compared[0]["heading"], chart


def checks(run: OpenRun, facts: Mapping[str, Any]) -> list[Check]:
    """Return the points of trust, each with the section that shows it."""
    there = sections(facts)
    found = [
        _refused(facts["totals"]),
        _speakers(facts),
        _faces(run, "faces" if "faces" in there else "features"),
        _balance(run),
        _unsure(run, "faces" if "faces" in there else "labels"),
        *_warnings(facts),
    ]
    return [one for one in found if one is not None and one.section in there]


def _refused(totals: Mapping[str, int]) -> Check | None:
    refused, clips = totals["refused"], totals["clips"] + totals["refused"]
    if not clips:
        return None
    says = f"{refused:,} of {clips:,} ({_percent(refused / clips)})" if refused else f"none of {clips:,}"
    return Check("Refused clips", says, refused <= MOST_REFUSED * clips, "data")


def _speakers(facts: Mapping[str, Any]) -> Check | None:
    """Judge by the setting with the fewest test speakers; without any, by the speakers of the corpora."""
    tested = [one["speakers"] for one in facts["results"]]
    unknown = sum(row["unknown_speakers"] for row in facts["corpora"])
    if tested:
        fewest = min(tested)
        enough, section = fewest >= LEAST_SPEAKERS, "trust" if facts["trust"] else "results"
        says = f"{fewest:,}" if enough else f"{fewest:,}, too few to tell small gains from luck"
        return Check("Test speakers", says, enough, section)
    if not facts["totals"]["clips"]:
        return None
    says = f"{facts['totals']['speakers']:,}" if facts["totals"]["speakers"] else "not known"
    says += f", unknown in {unknown:,} clips" if unknown and facts["totals"]["speakers"] else ""
    return Check("Speakers", says, not unknown, "data")


def _faces(run: OpenRun, section: str) -> Check | None:
    frames = seen = 0
    for corpus in run.config.with_clips():
        for group in run.groups(corpus, "landmarks", ["detected"]):
            frames += group.num_rows
            seen += int(group["detected"].to_numpy().sum())
    if not frames:
        return None
    return Check("Faces found", f"in {_percent(seen / frames)} of the frames", seen >= LEAST_FACES * frames, section)


class _Balance(NamedTuple):
    """The rarest label of a task or target: its share of the labels, and that share by the share of an even one.

    `most` is the most frequent label with its share.
    """

    even: float
    share: float
    of: str
    label: str
    most: tuple[str, float]


def _balance(run: OpenRun) -> Check | None:
    found = min(_balances(run), default=None)
    if found is None:
        return None
    most, share = found.most
    says = f"of {found.of} {found.label} is rarest ({_percent(found.share)}), {most} most frequent ({_percent(share)})"
    return Check("Label balance", says, found.even >= LEAST_BALANCE, "labels")


def _balances(run: OpenRun) -> Iterator[_Balance]:
    numbers = {(one.corpus, one.setting.target_name) for one in run.settings() if one.setting.kind in NUMBERS}
    grouped: dict[tuple[str, str, str], Rows] = {}
    for row in label_counts.balance_rows(run):
        if row["label"] not in label_counts.WITHOUT_LABEL and (row["corpus"], row.get("target")) not in numbers:
            grouped.setdefault((row["corpus"], row["task"], row.get("target", "")), []).append(row)
    for (_, task, target), rows in grouped.items():
        ordered = sorted(rows, key=lambda row: float(row["count"]))
        total, rarest, most = sum(row["count"] for row in rows), ordered[0], ordered[-1]
        if total and len(rows) > 1:
            share, highest = rarest["count"] / total, (most["label"], most["count"] / total)
            yield _Balance(share * len(rows), share, f"the {target or task} labels", rarest["label"], highest)


def _unsure(run: OpenRun, section: str) -> Check | None:
    """Judge the emotion labels by their own confidence."""
    read = [run.labels(corpus, "emotion", ["confidence"]) for corpus in run.config.with_clips()]
    known = [rows["confidence"].drop_nulls() for rows in read if rows is not None]
    confidence = pl.concat(known) if known else pl.Series([], dtype=pl.Float64)
    if not len(confidence):
        return None
    share, known_truth = int((confidence < SURE).sum()) / len(confidence), bool(run.config.with_truth())
    says = f"{_percent(share)} unsure (confidence below {SURE:g})"
    says += "" if known_truth else "; how many are wrong is not known: look at the faces"
    return Check("Emotion labels", says, known_truth and share <= MOST_UNSURE, section)


def _percent(share: float) -> str:
    """Return a share in per cent; the last below 100 is not rounded up.

    >>> _percent(0.9996), _percent(0.123)
    ('99.9 %', '12 %')
    """
    return "99.9 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"


def _warnings(facts: Mapping[str, Any]) -> list[Check]:
    """Count the warnings of each section that has any; one fine point where there is none."""
    of_labels = sum(len(facts["label_warnings"].get(corpus, [])) for corpus, _ in facts["balance"])
    of_results = sum(len(one["warnings"]) for one in facts["results"])
    counts = {"results": of_results, "labels": of_labels, "data": len(facts["silent"])}
    found = [
        Check("Warnings", f"{count} about the {section}", False, section) for section, count in counts.items() if count
    ]
    return found or [Check("Warnings", "none", True, "labels" if facts["balance"] else "data")]

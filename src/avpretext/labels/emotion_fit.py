"""Fit a table of emotions to faces whose emotion is known: `avpretext fit-emotions`.

Means and covariance are weighed so that every class, and every source of faces, counts alike. What comes out is judged
on people who were left out of the fit, one fifth of them at a time; the temperature is chosen on these.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.metrics import confusion_matrix, recall_score
from sklearn.model_selection import GroupKFold

from avpretext import shards
from avpretext.config import Config
from avpretext.corpora import sheets
from avpretext.corpora.who import speaker_of_each, who_speaks
from avpretext.errors import UserError, expect_file
from avpretext.flow.columns import ACTION_UNITS
from avpretext.flow.paths import Layout
from avpretext.labels.calibration import calibration
from avpretext.labels.emotion import CALIBRATED, clip_intensities, intensities, measured_by
from avpretext.labels.emotion_table import Emotion, EmotionTable, Profiles
from avpretext.programs import workflow

Floats = NDArray[np.float64]
Names = NDArray[np.str_]

SHRINK = 0.3
"""Covariances between action units are lowered by this share: they are the less certain part."""

LEAST_VARIANCE = 1e-4
"""Added to each variance, so that an action unit that is never shown decides nothing."""

FOLDS = 5
FEWEST = 5
"""So many clips of each class are the least that a table is fitted to."""

FEWEST_PEOPLE = 10
"""Of fewer people too few are left, after a fifth was left out, to choose the temperature on others again."""


@dataclass(frozen=True)
class Faces:
    """Clips whose emotion is known.

    `units` (N, 20) are the action units over the clip, see `emotion.clip_intensities`; `labels`, `people`, `sources`
    (N,) are the class, who is seen, and where the clip is from (each source counts alike).
    """

    units: Floats
    labels: Names
    people: Names
    sources: Names

    def of(self, rows: Any) -> "Faces":
        """Return some of the clips."""
        return Faces(self.units[rows], self.labels[rows], self.people[rows], self.sources[rows])


@dataclass(frozen=True)
class Judged:
    """How a table does on people who were not used to fit it.

    `classes` are sorted; `labels` and `sources` (N,) are the truth and where each clip is from; `given` and
    `confidence` (N,) are the most probable class and its probability.
    """

    classes: list[str]
    labels: Names
    sources: Names
    given: Names
    confidence: Floats


def run(config: Config, corpora: Sequence[str], output: Path, neutral: str, labels: Path | None = None) -> None:
    """Fit a table to corpora whose action units are measured, and write it, and beside it a page of results.

    `labels` is a table of clip_id and label; None: the label that `index` has of each clip. It is an error if action
    units or labels are missing, or too few for a table.
    """
    beside = output.with_suffix(".md")
    if beside == output:
        raise UserError(f"{output}: the page of results goes there; name the table .yaml")
    found = [_of_corpus(config, corpus, labels) for corpus in corpora]
    faces = whole(Faces(*(np.concatenate(parts) for parts in zip(*found, strict=True))))
    judged = validate(faces, neutral)
    told = page(judged)
    fitted = fit(faces, neutral).model_copy(update={"backend": _backend(config, corpora)})
    table = text(fitted, _HEAD.format(", ".join(corpora), beside.name))
    for file, content in ((beside, told), (output, table)):
        with shards.atomic_path(file) as path:
            path.write_text(content, "utf-8")
    print(told)
    print(f"{output}: name it as labels.emotion.table; judged on people who were left out, see above")


def _backend(config: Config, corpora: Sequence[str]) -> str | None:
    layout = Layout(config.results)
    found = {measured_by([Path(layout.path("action_units", corpus=corpus, shard=0))]) for corpus in corpora}
    if len(found) > 1:
        raise UserError(f"action units of {' and '.join(sorted(found))} differ in scale; fit to one backend at a time")
    return None if found == {CALIBRATED} else found.pop()


_HEAD = """# What each emotion shows in the face, fitted to {} by `avpretext fit-emotions`.
# How it does on people who were left out: {}.
"""


def _of_corpus(config: Config, corpus: str, labels: Path | None) -> tuple[Floats, Names, Names, Names]:
    """Return action units, labels, people and source of the labelled clips of a corpus whose face was seen."""
    layout, options = Layout(config.results), config.corpora[corpus]
    clips, shown = (
        [layout.path(stage, corpus=corpus, shard=number) for number in range(options.shards)]
        for stage in (options.clips_stage, "action_units")
    )
    missing = [file for file in (*clips, *shown) if not Path(file).is_file()]
    if missing:
        raise UserError(
            f"{missing[0]}: not there; run `{workflow()}` first, so that the action units of {corpus} are made"
        )
    people, known = speaker_of_each([Path(file) for file in clips]), _labels(clips, labels)
    units = {
        clip_id: clip_intensities(intensities(rows), config.labels.emotion)
        for file in shown
        for clip_id, rows in shards.iterate_clips(Path(file), ACTION_UNITS)
        if clip_id in known
    }
    kept = [clip_id for clip_id in sorted(units) if np.isfinite(units[clip_id]).any()]
    if not kept:
        raise UserError(f"{corpus}: no clip has both a label and a face; give --labels FILE with clip_id and label")
    _tell_unknown(corpus, [Path(file) for file in clips], kept)
    names = (np.array([of[clip_id] for clip_id in kept]) for of in (known, people))
    return (np.stack([units[clip_id] for clip_id in kept]), *names, np.array([corpus] * len(kept)))  # type: ignore[return-value]


def _tell_unknown(corpus: str, clips: Sequence[Path], kept: Sequence[str]) -> None:
    """Warn that people who are not known by name may be on both sides of the fit."""
    speakers = who_speaks(clips)
    count = speakers.filter(pl.col("clip_id").is_in(kept), ~pl.col("known")).height
    if count:
        print(
            f"fit-emotions: warning: {corpus}: {count} of {len(kept)} clips have no speaker; each file of them counts"
            " as a person, so the results flatter if files show the same people",
            file=sys.stderr,
        )


def _labels(clips: Sequence[str], file: Path | None) -> dict[str, str]:
    if file is None:
        rows = shards.read([Path(name) for name in clips], ["clip_id", "label"])
    else:
        expect_file(file, "correct --labels", sheets.ENDINGS)
        rows = sheets.read(file)
        sheets.need(rows.columns, ["clip_id", "label"], file, "a column clip_id names the clips, label their emotion")
    given = rows.select("clip_id", "label").drop_nulls().filter(pl.col("label").str.strip_chars() != "").unique()
    twice = given.filter(pl.col("clip_id").is_duplicated())["clip_id"].sort()
    if len(twice):
        raise UserError(f"{file or clips[0]}: clip {twice[0]!r} has several labels; keep one")
    return dict(given.iter_rows())


def whole(faces: Faces) -> Faces:
    """Return the clips of which all action units are known.

    Action units that no clip has, since a backend does not know them, are 0 throughout, so that they tell nothing.
    Clips that lack others are left out with a warning; it is an error if all do.
    """
    known = np.isfinite(faces.units)
    units = np.where(known.any(axis=0), faces.units, 0.0)
    rows = np.isfinite(units).all(axis=1)
    lacking = np.array(ACTION_UNITS)[(~known & known.any(axis=0)).any(axis=0)]
    names = ", ".join(lacking)
    if not rows.any():
        raise UserError(f"each clip lacks one of {names}, which others have; fit to corpora of one backend at a time")
    if not rows.all():
        count = f"{int((~rows).sum())} of {rows.size}"
        print(f"fit-emotions: warning: {count} clips left out: without {names}", file=sys.stderr)
    unknown = ", ".join(np.array(ACTION_UNITS)[~known.any(axis=0)])
    if unknown:
        print(f"fit-emotions: warning: no clip has {unknown}: the table does without", file=sys.stderr)
    return Faces(units, faces.labels, faces.people, faces.sources).of(rows)


def fit(faces: Faces, neutral: str, temperature: float | None = None) -> EmotionTable:
    """Fit a table to faces whose action units are all known, see `whole`.

    A temperature that is not given is chosen by the likelihood of people who are left out. It is an error if there is
    no neutral clip, if there are fewer than two emotions, too few clips of a class, or too few people.
    """
    _check(faces, neutral)
    return _fitted(faces, neutral, temperature)


def _fitted(faces: Faces, neutral: str, temperature: float | None) -> EmotionTable:
    weights = _weights(faces)
    classes = sorted(set(faces.labels.tolist()))
    means = {
        name: np.average(faces.units[faces.labels == name], axis=0, weights=weights[faces.labels == name])
        for name in classes
    }
    away = faces.units - np.stack([means[name] for name in faces.labels.tolist()])
    covariance = (away * weights[:, None]).T @ away / weights.sum()
    spread = np.sqrt(np.diag(covariance) + LEAST_VARIANCE)
    correlation = (1 - SHRINK) * covariance / spread / spread[:, None]
    np.fill_diagonal(correlation, 1.0)
    table = EmotionTable(
        neutral=neutral,
        emotions={name: Emotion(name=name, shows=_named(means[name])) for name in classes if name != neutral},
        rest=_named(means[neutral]),
        spread=_named(spread),
        correlation=[[round(float(value), 3) for value in row] for row in correlation],
        temperature=1.0 if temperature is None else temperature,
    )
    return table if temperature is not None else table.model_copy(update={"temperature": _temperature(faces, neutral)})


def _check(faces: Faces, neutral: str) -> None:
    names, counts = np.unique(faces.labels, return_counts=True)
    if neutral not in names:
        raise UserError(f"no clip is labelled {neutral!r}; labels are {', '.join(names)}; name the neutral one")
    few = [f"{name} {count}" for name, count in zip(names, counts, strict=True) if count < FEWEST]
    if len(names) < 3 or few:
        raise UserError(
            f"at least two emotions besides {neutral}, {FEWEST} clips each, are needed; too few: {', '.join(few)}"
        )
    if len(set(faces.people.tolist())) < FEWEST_PEOPLE:
        raise UserError(f"at least {FEWEST_PEOPLE} people are needed, to judge on others than are fitted to")


def _to_others(faces: Faces, used: NDArray[np.bool_], neutral: str, temperature: float | None = None) -> EmotionTable:
    """Fit to some of the clips, which are to show every class that all of them show."""
    gone = sorted(set(faces.labels.tolist()) - set(faces.labels[used].tolist()))
    if gone:
        raise UserError(
            f"so few people show {', '.join(gone)} that none is left to fit to while a fifth of the people is left"
            " out; label more people, or leave the class out"
        )
    return _fitted(faces.of(used), neutral, temperature)


def _weights(faces: Faces) -> Floats:
    """Weigh clips so that within each source every class counts alike, and all sources do."""
    weights = np.zeros(len(faces.labels))
    for source in np.unique(faces.sources):
        for name in np.unique(faces.labels):
            rows = (faces.sources == source) & (faces.labels == name)
            weights[rows] = 1 / max(rows.sum(), 1)
    return weights


def _named(values: Floats) -> dict[str, float]:
    return {unit: round(float(value), 4) for unit, value in zip(ACTION_UNITS, values, strict=True)}


def validate(faces: Faces, neutral: str) -> Judged:
    """Fit to four fifths of the people, and judge on the rest; five times."""
    _check(faces, neutral)
    given, confidence = np.empty(len(faces.labels), dtype=object), np.empty(len(faces.labels))
    for used, left in _folds(faces):
        table = _to_others(faces, used, neutral)
        classes = np.array([*table.emotions, neutral])
        shares = table.model.probabilities(faces.units[left])
        given[left], confidence[left] = classes[np.nanargmax(shares, axis=1)], np.nanmax(shares, axis=1)
    return Judged(sorted(set(faces.labels.tolist())), faces.labels, faces.sources, given.astype(str), confidence)


def _folds(faces: Faces) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    folds = GroupKFold(FOLDS, shuffle=True, random_state=0)
    every = np.arange(len(faces.labels))
    return [(np.isin(every, used), np.isin(every, left)) for used, left in folds.split(every, groups=faces.people)]


def _temperature(faces: Faces, neutral: str) -> float:
    """Return the temperature at which people who are left out are likeliest, every class and source counting alike."""
    weights, odds, place = _weights(faces), [], []
    for used, left in _folds(faces):
        table = _to_others(faces, used, neutral, temperature=1.0)
        classes = [*table.emotions, neutral]
        model: Profiles = table.model
        odds.append(np.concatenate([model.log_odds(faces.units[left]), np.zeros((int(left.sum()), 1))], axis=1))
        place.append((left, [classes.index(name) for name in faces.labels[left].tolist()]))

    def unlikeliness(log_temperature: float) -> float:
        total = 0.0
        for values, (left, true) in zip(odds, place, strict=True):
            scaled = values / np.exp(log_temperature)
            log_sum = np.logaddexp.reduce(scaled, axis=1)
            total += float((weights[left] * (log_sum - scaled[np.arange(len(true)), true])).sum())
        return total

    found = minimize_scalar(unlikeliness, bounds=(-1.5, 3.0), method="bounded", options={"xatol": 0.01})
    return round(float(np.exp(found.x)), 2)


def text(table: EmotionTable, head: str = "") -> str:
    """Return a table as YAML."""
    content = table.model_dump(exclude_defaults=True)
    rows = content.pop("correlation")
    body: str = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=118)
    return (
        head
        + body
        + "correlation: # rows and columns in the order of spread\n"
        + "".join(f"- [{', '.join(f'{value:g}' for value in row)}]\n" for row in rows)
    )


def page(judged: Judged) -> str:
    """Return one page of Markdown: recall and confusion on people who were left out, and right against confidence."""
    lines = [
        "| faces | clips | right | mean recall of the classes |\n| --- | --- | --- | --- |",
        *_per_source(judged),
        "",
        "Rows: what is true; columns: what was given, in percent of the row.",
        "",
        *_confusion(judged),
        "",
        "| confidence | clips | right |\n| --- | --- | --- |",
        *calibration_rows(judged.confidence, judged.given == judged.labels),
    ]
    return "\n".join(lines) + "\n"


def _per_source(judged: Judged) -> list[str]:
    lines = []
    for source in np.unique(judged.sources):
        rows = judged.sources == source
        true, given = judged.labels[rows], judged.given[rows]
        recall = recall_score(true, given, average="macro", labels=np.unique(true), zero_division=0)
        lines.append(f"| {source} | {rows.sum()} | {np.mean(true == given):.2f} | {recall:.2f} |")
    return lines


def _confusion(judged: Judged) -> list[str]:
    shares = confusion_matrix(judged.labels, judged.given, labels=judged.classes, normalize="true")
    head = [f"| | {' | '.join(judged.classes)} |", f"| --- |{' --- |' * len(judged.classes)}"]
    return head + [
        f"| {name} | {' | '.join(f'{100 * value:.0f}' for value in row)} |"
        for name, row in zip(judged.classes, shares, strict=True)
    ]


def calibration_rows(confidence: Floats, right: NDArray[np.bool_]) -> list[str]:
    """Return `calibration` as rows of Markdown."""
    return [
        f"| {mean:.2f} | {clips} | {share:.2f} |"
        for _, mean, clips, share in calibration(confidence, right).iter_rows()
    ]

"""Stage `targets`: what is learnt of each clip of a corpus, from its name, its label tables or its raters' votes."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config import CorpusOptions
from avpretext.corpora.label_maps import LabelMap, check_complete, label_map_of, unmatched_keys
from avpretext.corpora.reader import Source
from avpretext.corpora.settings import NUMBERS, Kind, kind_from, source_of, split_target, target_name
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance

Floats = NDArray[np.float64]
Labels = list[str | None]

JOIN = "+"
"""Between the names of a clip with several labels."""

SMOOTHING = 0.05
"""Part of each class's share that a smoothed target gives to the other classes."""


@dataclass(frozen=True)
class Targets:
    """What is learnt of N clips.

    Attributes
    ----------
    classes
        Names of the K values, sorted; of attributes, their own names.
    labels
        Names of the N labels; None where there is none, or none wins.
    values
        (N, K): one-hot, 0 or 1, shares, or the numbers; NaN throughout a row of which nothing is known.
    ties
        Number of clips whose votes tie.
    votes
        (N, K): how many raters chose each class, after the label map; None where the labels come of no votes. Of a
        clip that nobody rated all are 0. Votes for what is no class, since no clip is labelled so, are left out.
    notes
        What readers of results must know, as sentences.
    """

    kind: Kind
    classes: list[str]
    labels: Labels
    values: Floats
    ties: int = 0
    votes: Floats | None = None
    notes: Sequence[str] = ()


def run(corpus: CorpusOptions, target: str, clips: Sequence[Path], output: Path) -> None:
    """Write the table of one label target of a corpus, `targets`, one row per clip, sorted by clip_id.

    It is an error if no clip has a label, if all have the same, if a label is not in the label map, or if the source
    has a clip twice.

    Parameters
    ----------
    target
        As the configuration names it, such as `voice-distribution`.
    clips
        All shards of `index`, or of `segment` for long recordings.
    output
        The table; `votes` is null for a clip that nobody rated, and where the labels come of no votes. Its provenance
        has `kind`, `classes`, `target` (with the name of the label map), `clips`, `labelled` and `ties`, the numbers
        of clips, and `notes`, what readers of results must know.
    """
    index = shards.read(clips, ["clip_id", "speaker", "label", "recording"]).sort("clip_id")
    found = read_targets(corpus, target, index)
    check_learnable(found, target)
    for note in found.notes:
        print(f"targets: warning: {target}: {note}", file=sys.stderr)
    labelled = known_rows(found.values)
    made_by = provenance(
        "targets",
        {
            "reader": corpus.reader,
            "parts": corpus.parts,
            "ties": corpus.ties,
            "label_map": None if found.kind in NUMBERS else label_map_of(corpus),
        },
        kind=found.kind,
        classes=found.classes,
        target=target_name(corpus, target, found.kind),
        clips=len(index),
        labelled=int(labelled.sum()),
        ties=found.ties,
        notes=found.notes,
    )
    columns = {
        "clip_id": index["clip_id"],
        "speaker": index["speaker"],
        "label": found.labels,
        "values": lists_of(found.values, labelled),
        "votes": [None] * len(index) if found.votes is None else lists_of(found.votes, found.votes.sum(axis=1) > 0),
    }
    shards.write_table(output, columns, schema_of("targets"), made_by)


def lists_of(values: Floats, known: NDArray[np.bool_]) -> list[list[float] | None]:
    """Return the rows of (N, K), None for those of which nothing is known."""
    return [row if has else None for row, has in zip(values.tolist(), known, strict=True)]


def read_targets(corpus: CorpusOptions, target: str, index: pl.DataFrame) -> Targets:
    """Return what is learnt of the clips of `index`, `clip_id`, `label`, `recording`.

    It is an error if the source contradicts itself on a clip or knows none of the clips, if a label is not in the map,
    if a number is infinite, or if votes are no counts.
    """
    source = source_of(corpus, target)
    kind, known = kind_from(source, target), _known_of(corpus, target, source, index)
    if kind == "attribute":
        return from_attribute(known["value"].cast(pl.Float64).to_list(), target)
    if kind == "attributes":
        return from_attributes(known.columns, known.cast(pl.Float64).to_numpy())
    label_map = label_map_of(corpus)
    acted = index["label"].to_list() if corpus.ties == "acted" else None
    found = _classes_of(known, source, kind, label_map, acted)
    if split_target(target)[1] == "smoothed":
        found = replace(found, values=smoothed(found.values))
    labels = known.columns if source.kind == "votes" else known["label"].unique().to_list()
    return replace(found, notes=unmatched_keys(corpus, label_map, labels) if label_map else [])


def _known_of(corpus: CorpusOptions, target: str, source: Source, index: pl.DataFrame) -> pl.DataFrame:
    """Return the columns of `Source.read` but clip_id for each clip; segments have what is known of their recording."""
    if source.read is None:
        return index.select("label")
    table = source.read(corpus).unique(maintain_order=True)
    twice = table.filter(pl.col("clip_id").is_duplicated())
    if not twice.is_empty():
        raise UserError(
            f"targets: {target!r}: two different rows are of the clip {twice['clip_id'].sort()[0]!r}; correct the"
            " table so that each clip has one"
        )
    if source.kind != "label":
        _check_numbers(table, source.kind == "votes", target)
    key = pl.coalesce("recording", "clip_id") if corpus.segment else pl.col("clip_id")
    keyed = index.select(key.alias("clip_id"))
    if not index.is_empty() and not set(keyed["clip_id"]) & set(table["clip_id"]):
        example = f"such as {table['clip_id'].sort()[0]!r}, " if len(table) else ""
        raise UserError(
            f"targets: {target!r} is known of {len(table)} clips, {example}and of none of the corpus's {len(index)},"
            f" such as {index['clip_id'][0]!r}; their names must be the same: correct path, parts or table of the"
            " corpus"
        )
    return keyed.join(table, on="clip_id", how="left", maintain_order="left").drop("clip_id")


def _check_numbers(table: pl.DataFrame, votes: bool, target: str) -> None:
    """Raise UserError where a number is infinite or, of votes, none or below 0; an attribute that is NaN is unknown."""
    for name in table.columns:
        if name == "clip_id":
            continue
        number = pl.col(name).cast(pl.Float64)
        bad = number.is_finite().not_() | (number < 0) if votes else number.is_infinite()
        for clip_id, value in table.filter(bad).select("clip_id", number).sort("clip_id").head(1).iter_rows():
            raise UserError(
                f"targets: {target!r}: the clip {clip_id!r} has {name} {value:g}; expected"
                f" {'0 or more votes' if votes else 'a finite number'}: correct it where the corpus has its labels"
            )


def _classes_of(
    known: pl.DataFrame, source: Source, kind: Kind, label_map: LabelMap | None, acted: Labels | None
) -> Targets:
    """Return the targets of clips from what is known of them; `acted`, the emotions of their names, decide ties."""
    if source.kind == "label":
        return from_labels(mapped_labels(known["label"].to_list(), label_map))
    votes = known.with_columns(pl.all().cast(pl.Float64).fill_null(0.0))
    classes, counts = mapped_votes(votes.columns, votes.to_numpy(), label_map)
    if kind == "multi_label":
        return several_labels(classes, counts)
    if kind == "distribution":
        return distribution(classes, counts)
    return from_votes(classes, counts, acted and mapped_labels(acted, label_map, lenient=True))


def mapped_labels(labels: Labels, label_map: LabelMap | None, lenient: bool = False) -> Labels:
    """Return labels as the map has them; a label that it has not is an error, or dropped where `lenient`.

    >>> mapped_labels(["ANG", "DIS", None], {"ANG": "angry", "DIS": None})
    ['angry', None, None]
    """
    if label_map is None:
        return labels
    if not lenient:
        check_complete((label for label in labels if label is not None), label_map)
    return [label_map.get(label) if label is not None else None for label in labels]


def mapped_votes(names: Sequence[str], counts: Floats, label_map: LabelMap | None) -> tuple[list[str], Floats]:
    """Return classes, sorted, and the votes for each (N, K): those for labels that are learnt as one are summed.

    `names` are the labels, `counts` the votes for each, (N, number of labels).
    """
    if label_map is not None:
        check_complete(names, label_map)
    learnt_as = [label_map[name] if label_map is not None else name for name in names]
    classes = sorted({name for name in learnt_as if name is not None})
    summed = np.zeros((len(counts), len(classes)))
    for column, name in enumerate(learnt_as):
        if name is not None:
            summed[:, classes.index(name)] += counts[:, column]
    return classes, summed


def majority(classes: Sequence[str], counts: Floats, acted: Labels | None = None) -> tuple[Labels, int]:
    """Return the class that most raters chose, of votes (N, K), and the number of ties.

    A tie is decided by the `acted` class where it is among the winners; without, a clip whose votes tie has no label.
    """
    most = counts.max(axis=1, keepdims=True, initial=0.0)
    first = (counts == most) & (most > 0)
    ties = first.sum(axis=1) > 1
    labels: Labels = []
    for number, row in enumerate(first):
        names = [name for name, wins in zip(classes, row, strict=True) if wins]
        own = acted[number] if acted else None
        labels.append(names[0] if len(names) == 1 else own if own in names else None)
    return labels, int(ties.sum())


def from_labels(labels: Labels, ties: int = 0) -> Targets:
    """Return one class per clip, the classes being those that occur."""
    classes = sorted({label for label in labels if label is not None})
    values = np.full((len(labels), len(classes)), np.nan)
    for row, label in zip(values, labels, strict=True):
        if label is not None:
            row[:] = [label == name for name in classes]
    return Targets("hard", classes, labels, values, ties)


def from_votes(classes: Sequence[str], counts: Floats, acted: Labels | None = None) -> Targets:
    """Return the majority of the votes (N, K); see `majority` for ties."""
    found = from_labels(*majority(classes, counts, acted))
    return replace(found, votes=counts[:, [list(classes).index(name) for name in found.classes]])


def several_labels(classes: list[str], counts: Floats) -> Targets:
    """Return every class that at least 1/K of a clip's votes (N, K) chose, so at least one.

    Source: Chou, Lee & Busso, Interspeech 2022, for the threshold.
    """
    total = counts.sum(axis=1, keepdims=True)
    chosen = (counts * len(classes) >= total) & (total > 0)
    names = [JOIN.join(np.array(classes)[row]) or None for row in chosen]
    return Targets("multi_label", classes, names, np.where(total > 0, chosen, np.nan), votes=counts)


def distribution(classes: list[str], counts: Floats) -> Targets:
    """Return the share of each class among a clip's votes (N, K); the label is the majority, None in a tie."""
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)
    labels, ties = majority(classes, counts)
    return Targets("distribution", classes, labels, shares, ties, counts)


def smoothed(shares: Floats) -> Floats:
    """Return shares (N, K) of which each class gives `SMOOTHING` to the K - 1 others in equal parts.

    So EMO-SUPERB's labels are made (Wu et al., SLT 2024). Its code has no such step, for its tables of labels come
    smoothed: of 4, 6 and 9 classes they have .95 for a class that all raters chose, .05 / (K - 1) for one that none
    did, and what lies between for others (github.com/EMOsuperb/EMO-SUPERB-submission, data, at 4167e30). A share of 1/K
    stays 1/K, so the same classes are there as without smoothing.

    >>> smoothed(np.array([[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]])).round(3).tolist()
    [[0.95, 0.01, 0.01, 0.01, 0.01, 0.01]]
    """
    others = max(1, shares.shape[1] - 1)
    given: Floats = SMOOTHING * (1 - shares) / others
    return (1 - SMOOTHING) * shares + given


def from_attribute(values: Sequence[float | None], name: str) -> Targets:
    """Return one number per clip; None and NaN are not known."""
    numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64).reshape(-1, 1)
    return Targets("attribute", [name], [None] * len(numbers), numbers)


def from_attributes(names: Sequence[str], values: Floats) -> Targets:
    """Return several numbers (N, K) per clip; of a clip that lacks one nothing counts as known, and a note tells."""
    finite = np.asarray(np.isfinite(values))
    whole = np.asarray(finite.all(axis=1))
    notes = []
    if some := int((finite.any(axis=1) & ~whole).sum()):
        lacking = zip(names, (finite.any(axis=1, keepdims=True) & ~finite).sum(axis=0), strict=True)
        said = ", ".join(f"{name} {count}" for name, count in lacking if count)
        notes = [f"clips with some of the attributes and not all, which are left out: {some}; missing: {said}"]
    known = np.where(whole[:, None], values, np.nan)
    return Targets("attributes", list(names), [None] * len(values), known, notes=notes)


def known_rows(values: Floats) -> NDArray[np.bool_]:
    """Return of which clips something is known, (N,), from their values (N, K)."""
    return np.asarray(np.isfinite(values).all(axis=1) & (values.shape[1] > 0))


def check_learnable(found: Targets, target: str) -> None:
    """Raise UserError where there is nothing to learn: no clip has a label, or all have the same."""
    known = found.values[known_rows(found.values)]
    if not len(known):
        ties = f" (votes that tie: {found.ties})" if found.ties else "".join(f" ({note})" for note in found.notes)
        raise UserError(
            f"targets: none of the {len(found.labels)} clips of the corpus has a label for {target!r}{ties}; choose"
            " other targets, or take finetune out of the corpus's `use`"
        )
    if found.kind in NUMBERS:
        for name, column in zip(found.classes, known.T, strict=True):
            if len(np.unique(column)) < 2:
                of = repr(target) if found.kind == "attribute" else f"{name!r} of {target!r}"
                fix = "" if found.kind == "attribute" else ": name the other attributes as the target, joined by +"
                raise UserError(f"targets: {of} is {column[0]:g} for every clip; at least two values are needed{fix}")
        return
    occurring = [name for name, highest in zip(found.classes, known.max(axis=0), strict=True) if highest > 0]
    if len(occurring) < 2:
        raise UserError(
            f"targets: all labelled clips are {', '.join(map(repr, occurring))} for {target!r}; at least two classes"
            " are needed: choose other targets, speakers or parts of the corpus, or another label_map"
        )

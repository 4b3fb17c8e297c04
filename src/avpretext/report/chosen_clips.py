"""Which clips the report shows: one closely; in the explorer all where they are few, else a sample of them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import polars as pl

from avpretext.evaluation.open_run import OpenRun
from avpretext.flow.paths import shard_of
from avpretext.report.clip import Clip

SURE_SHARE, AMBIGUOUS_SHARE = 40, 4
"""Of the clips shown, one in so many, for each emotion, is among the surest; one in so many, at most, ambiguous."""

REFUSED_SHOWN = 5000
"""So many refused clips can be looked up: a line of text each, so many more than clips with pictures."""

Name = tuple[str, str]
"""Corpus and clip_id."""


@dataclass(frozen=True)
class Choice:
    """What is shown: of all `total` clips, and of all refused ones (`refused_total`).

    `clips` has of each corpus those shown, sorted: clip_id, speaker, and of its emotion label outcome, label and
    confidence (None where a corpus has none).
    """

    clips: dict[str, pl.DataFrame]
    total: int
    refused: pl.DataFrame
    refused_total: int

    @property
    def shown(self) -> int:
        """How many clips are shown."""
        return sum(rows.height for rows in self.clips.values())

    def ids(self) -> set[Name]:
        """Return every clip shown, refused ones too."""
        used = {(corpus, clip_id) for corpus, rows in self.clips.items() for clip_id in rows["clip_id"]}
        return used | set(self.refused.filter(pl.col("clip_id").is_not_null()).select("corpus", "clip_id").iter_rows())

    def sentence(self) -> str:
        """Return which clips these are."""
        if self.shown == self.total:
            used = f"All {self.total:,} clips"
        else:
            used = (
                f"A sample of {self.shown:,} of {self.total:,} clips (report.explorer_clips): the surest of each"
                " emotion, ambiguous ones, and others by a hash of their names, so that the same corpus gives the same"
                " sample"
            )
        if not self.refused_total:
            return f"{used}; none was refused."
        if self.refused.height == self.refused_total:
            return f"{used}, and the {self.refused_total:,} that were refused."
        return (
            f"{used}, and {self.refused.height:,} of the {self.refused_total:,} that were refused (the others are in"
            " tables/rejects_clips.csv)."
        )


def choose(run: OpenRun, wanted: Collection[Name] = ()) -> Choice:
    """Choose the clips of the explorer; those `wanted`, such as those pictured elsewhere on the page, in any case."""
    kept = {corpus: run.kept(corpus) for corpus in run.config.with_clips()}
    listed = {corpus: _with_emotions(run, corpus, rows) for corpus, rows in kept.items() if rows is not None}
    total, limit = sum(rows.height for rows in listed.values()), run.config.report.explorer_clips
    chosen = listed if total <= limit else _sample(listed, limit, wanted)
    in_order = {corpus: rows.sort("clip_id") for corpus, rows in chosen.items() if rows.height}
    return Choice(in_order, total, run.refused.head(REFUSED_SHOWN if limit else 0), run.refused.height)


def _with_emotions(run: OpenRun, corpus: str, kept: pl.DataFrame) -> pl.DataFrame:
    """Add outcome, label and confidence of the emotion label to clip_id and speaker."""
    emotions = run.labels(corpus, "emotion", ["clip_id", "outcome", "label", "confidence"])
    if emotions is None:
        kinds = {"outcome": pl.String, "label": pl.String, "confidence": pl.Float32}
        return kept.with_columns(pl.lit(None, dtype=kind).alias(name) for name, kind in kinds.items())
    return kept.join(emotions, on="clip_id", how="left", maintain_order="left")


def _sample(listed: dict[str, pl.DataFrame], limit: int, wanted: Collection[Name]) -> dict[str, pl.DataFrame]:
    """Return at most `limit` clips: first those wanted, then the surest, then ambiguous ones, then any."""
    chosen: dict[Name, None] = {}
    for clip in _in_turn(listed, limit, set(wanted)):
        if len(chosen) >= limit:
            break
        chosen.setdefault(clip)
    found: dict[str, list[str]] = {corpus: [] for corpus in listed}
    for corpus, clip_id in chosen:
        found[corpus].append(clip_id)
    return {corpus: rows.filter(pl.col("clip_id").is_in(found[corpus])) for corpus, rows in listed.items()}


def _in_turn(listed: dict[str, pl.DataFrame], limit: int, wanted: set[Name]) -> Iterator[Name]:
    """Yield clips, those that must not be missing first; some come more than once."""
    yield from sorted(clip for clip in wanted if clip[0] in listed)
    for corpus, rows in listed.items():
        for label in sorted(rows["label"].drop_nulls().unique()):
            sure = rows.filter(pl.col("label") == label).sort("confidence", "clip_id", descending=[True, False])
            yield from ((corpus, clip_id) for clip_id in sure["clip_id"].head(max(1, limit // SURE_SHARE)))
    unsure = [
        (corpus, clip_id)
        for corpus, rows in listed.items()
        for clip_id in rows.filter(pl.col("outcome") == "ambiguous")["clip_id"]
    ]
    yield from _by_hash(unsure)[: limit // AMBIGUOUS_SHARE]
    yield from _by_hash([(corpus, clip_id) for corpus, rows in listed.items() for clip_id in rows["clip_id"]])


def _by_hash(clips: list[Name]) -> list[Name]:
    """Return the clips in an order that depends on nothing but their names."""
    return sorted(clips, key=lambda clip: (shard_of("/".join(clip), 2**64), clip))


def closely(run: OpenRun) -> Clip | None:
    """Return the clip that is shown closely; None when no corpus has speech features, or faces without sound.

    It has kept frames, and of those clips the surest emotion label, if not neutral.
    """
    for corpus in (*run.config.used_for("pretrain"), *run.config.with_clips()):
        found = (Clip(run, corpus, clip_id) for clip_id in _candidates(run, corpus))
        shown = next((clip for clip in found if clip.there), None)
        if shown is not None:
            return shown
    return None


def _candidates(run: OpenRun, corpus: str) -> list[str]:
    """Return the clips that could be shown, the best first."""
    clips = run.clip_ids(corpus, "landmarks.preview") or run.clip_ids(corpus, "speech")
    emotions = run.labels(corpus, "emotion", ["clip_id", "label", "confidence"])
    worth = {} if emotions is None else {clip_id: _worth(label, sure) for clip_id, label, sure in emotions.iter_rows()}
    return sorted(clips, key=lambda clip_id: (-worth.get(clip_id, 0.0), clip_id))


def _worth(label: str | None, confidence: float | None) -> float:
    """Rank a clip by its emotion label: a face that shows something, then a neutral one, then one without label."""
    if label is None:
        return 0.0
    return (1.0 if label.lower().startswith("neu") else 2.0) + (confidence or 0.0)

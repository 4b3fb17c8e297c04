"""Stage `orofacial_tables`: how well speech moves the face of people never heard, system by system."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config import Config
from avpretext.errors import UserError
from avpretext.evaluation import formats, intervals
from avpretext.evaluation.formats import decimal, probability
from avpretext.evaluation.scores import PERMUTATIONS, RESAMPLES, Rows, Scored, corrected, known
from avpretext.face.landmark_shards import vectors
from avpretext.face.points import OROFACIAL_POINTS
from avpretext.flow.paths import Layout
from avpretext.orofacial.movement_scores import COMPARED, MEASURE_NAMES, SHOWN, ClipSums, Statistic
from avpretext.programs import workflow
from avpretext.shards import PathLike
from avpretext.training import finite

Floats = NDArray[np.float64]

REST = "rest"
"""Row beside the systems: a face that stays at rest."""


def run(config: Config, output: PathLike) -> None:
    """Write the tables of the orofacial models, from the results that the whole configuration names, to a folder."""
    folder, found = Path(output), predictions_of(config)
    sums, scored = score(found)
    rows, compared = metric_rows(scored, sums, config), comparison_rows(scored, sums, config)
    measured = [f"{name}{end}" for name in sums.measures() for end in ("", "_low", "_high")]
    formats.write_csv(folder / "orofacial.csv", ["system", "speakers", "clips", "seeds", *measured], rows, places=6)
    pairs = ["system", "against", "measure", "difference", "low", "high", "p", "p_holm", "test", "speakers"]
    formats.write_csv(folder / "orofacial_comparisons.csv", pairs, compared, places=6)
    formats.write_text(folder / "orofacial.md", as_markdown(rows, compared, note(next(iter(found.values())), config)))
    columns = ["corpus", "clip_id", "left_out_of", "stage", "reason", "detail"]
    formats.write_csv(folder / "orofacial_left_out.csv", columns, left_out(found, config))


def predictions_of(config: Config) -> dict[str, Path]:
    """Return the predictions of each system."""
    layout = Layout.of_run(config.results)
    return {
        system: Path(layout.path("orofacial_system.predictions", system=system)) for system in config.orofacial.systems
    }


def score(predictions: Mapping[str, Path]) -> tuple[ClipSums, list[Scored]]:
    """Sum the test predictions of every system, and of a face that stays at rest, per speaker and seed.

    `movement_scores.ClipSums` is the layout of the sums; sums of single runs are not kept. Systems that were tested on
    different clips are an error.
    """
    classes = shards.read_provenance(next(iter(predictions.values()))).get("classes", {})
    sums = ClipSums(classes.get("viseme", []), classes.get("emotion", []))
    scored = [_collect(name, path, sums) for name, path in predictions.items()]
    first = scored[0]
    for system in scored:
        if (system.speakers, system.seeds, system.clips) != (first.speakers, first.seeds, first.clips):
            raise UserError(
                f"orofacial: {system.name} was tested on {system.clips} clips of {len(system.speakers)} speakers,"
                f" {first.name} on {first.clips} of {len(first.speakers)}: run `{workflow('orofacial')}` again"
            )
    return sums, [*scored, _collect(REST, next(iter(predictions.values())), sums)]


def _collect(name: str, path: Path, sums: ClipSums) -> Scored:
    """Sum the predictions of a file; under the name `REST`, those of a face that stays at rest."""
    fps = float(shards.read_provenance(path)["fps"])
    clip_keys = ["corpus", "clip_id", "seed", "emotion", "predicted"]
    told = shards.read(path.with_name("clips.parquet"), clip_keys) if name != REST else pl.DataFrame()
    emotions = {row[:3]: row[3:] for row in told.iter_rows()}  # true and predicted
    found: dict[tuple[str, int], Floats] = {}
    clips = set()
    for rows in clip_tables(path):
        truth, said = (points_of(rows[column]) for column in ("truth", "movement"))
        finite.check_values(said, f"{path}: movement", "train the system again")
        corpus, clip_id, speaker, seed = (rows[key][0].as_py() for key in ("corpus", "clip_id", "speaker", "seed"))
        clips.add((corpus, clip_id))
        seen = rows["viseme"].to_pylist()
        if name == REST:
            said, seen = np.zeros_like(said), [None] * len(seen)
        emotion = emotions.get((corpus, clip_id, seed), (None, None))
        added = sums.of_clip(truth, said, fps, (rows["true_viseme"].to_pylist(), seen), emotion)
        found[speaker, seed] = found[speaker, seed] + added if (speaker, seed) in found else added
    speakers, seeds = (sorted(set(part)) for part in zip(*found, strict=True))
    whole = np.zeros((len(speakers), len(seeds), len(added)))
    for (speaker, seed), added in found.items():
        whole[speakers.index(speaker), seeds.index(seed)] = added
    return Scored(name, whole, speakers, seeds, {}, len(clips))


def clip_tables(path: Path) -> Iterator[Any]:
    """Yield the rows of each clip of each run."""
    for _, rows in shards.iterate_clips(path):
        # A clip may be tested by several runs in a row, and corpora may use the same names.
        started = np.flatnonzero(rows["frame"].to_numpy() == 0).tolist()
        for first, last in itertools.pairwise([*started, rows.num_rows]):
            yield rows.slice(first, last - first).combine_chunks()


def points_of(column: Any) -> Floats:
    """Return a column of movements as (T, P, 2), NaN where null."""
    return vectors(column).reshape(len(column), len(OROFACIAL_POINTS), 2).astype(np.float64)


def metric_rows(scored: Sequence[Scored], sums: ClipSums, config: Config) -> Rows:
    """Return a row per system: each measure with its interval over speakers."""
    rows = []
    for system in scored:
        row: dict[str, Any] = {
            "system": system.name, "speakers": len(system.speakers), "clips": system.clips, "seeds": len(system.seeds)
        }  # fmt: skip
        for measure, statistic in sums.measures().items():
            value, low, high = _estimated([system], statistic, config)
            row |= {measure: value, f"{measure}_low": low, f"{measure}_high": high}
        rows.append(row)
    return rows


def _estimated(systems: Sequence[Scored], statistic: Statistic, config: Config) -> list[float | None]:
    """Return the score of a system, or of two the difference, and the ends of its interval over speakers."""
    options, speakers = config.evaluate, len(systems[0].speakers)
    weights = intervals.draw_resamples(speakers, options.bootstrap, [config.seed, RESAMPLES])

    def scores(drawn: Floats | None = None) -> Floats:
        found = [intervals.score(system.sums, statistic, drawn) for system in systems]
        return found[0] - found[1] if len(found) > 1 else found[0]

    return [known(value) for value in (scores(), *intervals.interval(scores(weights), speakers, options.level))]


def comparison_rows(scored: Sequence[Scored], sums: ClipSums, config: Config) -> Rows:
    """Return a row for each two systems and measure; p-values are corrected over the pairs of a measure."""
    systems = [system for system in scored if system.name != REST]
    pairs = [(other, one) for one, other in itertools.combinations(systems, 2)]
    rows: Rows = []
    for measure, statistic in sums.measures().items():
        if measure in COMPARED:
            rows += corrected([_compared(*pair, statistic, config) | {"measure": measure} for pair in pairs], "p")
    return [row for row in rows if row["difference"] is not None]


def _compared(first: Scored, second: Scored, statistic: Statistic, config: Config) -> dict[str, Any]:
    difference, low, high = _estimated([first, second], statistic, config)
    draws = config.evaluate.permutations, [config.seed, PERMUTATIONS]
    tested = intervals.paired_test(first.sums, second.sums, statistic, *draws)
    return {
        "system": first.name, "against": second.name, "difference": difference, "low": low, "high": high,
        "p": tested.p_value, "test": tested.test, "speakers": len(first.speakers),
    }  # fmt: skip


def left_out(predictions: Mapping[str, Path], config: Config) -> Rows:
    """Return every clip of the corpora that was not tested, or has no visemes, with the stage that left it out and why.

    `left_out_of` is `everything` or `visemes`.
    """
    layout = Layout.of_run(config.results)
    tested = shards.read(next(iter(predictions.values())).with_name("clips.parquet"), ["corpus", "clip_id"])
    told = set(tested.iter_rows())
    rows: Rows = []
    for corpus in config.orofacial_corpora():
        listed = config.corpora[corpus]
        refused = shards.read(layout.path("rejects", corpus=corpus), ["clip_id", "stage", "reason", "detail"])
        told_phones = config.orofacial.weights.viseme > 0
        silent = layout.shards("phones.rejects", corpus, listed.shards) if told_phones else []
        phoneless = [row for path in silent for row in shards.read(path).iter_rows(named=True)]
        rows += [{"corpus": corpus, "left_out_of": "everything", **row} for row in refused.iter_rows(named=True)]
        rows += [{"corpus": corpus, "left_out_of": "visemes", **row} for row in phoneless]
        told |= {(corpus, clip_id) for clip_id in refused["clip_id"]}
        paths = layout.shards(listed.clips_stage, corpus, listed.shards)
        rows += [
            {"corpus": corpus, "clip_id": clip_id, "left_out_of": "everything", "stage": "orofacial_system",
             "reason": "silent", "detail": "every channel of its speech is constant"}
            for clip_id in shards.read(paths, ["clip_id"])["clip_id"]
            if (corpus, clip_id) not in told
        ]  # fmt: skip
    return rows


def note(predictions: Path, config: Config) -> str:
    """Return what must be known of the figures, in sentences."""
    whom = (
        "Leave one clip out: the speaker of a test clip is also in training, so scores of new speakers are not known."
        if shards.read_provenance(predictions).get("speaker_leaks")
        else "Test speakers are never in training."
    )
    return (
        f"{whom} Movement is measured from the person's face at rest, in inter-ocular distances (between the outer eye"
        f" corners), velocity in these per second. {100 * config.evaluate.level:g} % intervals and tests cover other"
        " speakers, not other trainings. CCC of a region: over all its coordinates together. Lip aperture r: Pearson's"
        f" r within a clip, mean over the clips; pooled: over all frames. {REST}: a face that stays at rest."
    )


def as_markdown(rows: Rows, compared: Rows, sentence: str) -> str:
    """Return systems and comparisons as Markdown."""
    shown = shown_of(rows)
    header = ["system", *(MEASURE_NAMES[name] for name in shown)]
    systems = [[row["system"], *(interval_text(row, name) for name in shown)] for row in rows]
    tables = formats.markdown(header, systems, numbers=1)
    if compared:
        header = ["systems", "measure", "difference", "p", "p (Holm)"]
        tables += "\n" + formats.markdown(header, [comparison_cells(row) for row in compared], numbers=2)
    return f"{sentence}\n\n{tables}"


def shown_of(rows: Rows) -> list[str]:
    """Return the measures of the printed table that any system has."""
    return [name for name in SHOWN if any(row.get(name) is not None for row in rows)]


def comparison_cells(row: Mapping[str, Any]) -> list[str]:
    """Return the cells of a comparison, as people read them."""
    return [
        f"{row['system']} against {row['against']}", MEASURE_NAMES[row["measure"]], difference_text(row),
        probability(row["p"]), probability(row["p_holm"]),
    ]  # fmt: skip


def difference_text(row: Mapping[str, Any]) -> str:
    """Return the difference of a comparison with its interval, as people read it."""
    measure = row["measure"]
    ends = {measure: row["difference"], f"{measure}_low": row["low"], f"{measure}_high": row["high"]}
    return interval_text(ends, measure, sign=True)


def interval_text(row: Mapping[str, Any], measure: str, sign: bool = False) -> str:
    """Return a measure with its interval, as people read it."""
    places = 4 if measure.startswith("error") else 3
    value, low, high = (decimal(row.get(f"{measure}{end}"), places, sign) for end in ("", "_low", "_high"))
    return f"{value} [{low}, {high}]" if value and low else value

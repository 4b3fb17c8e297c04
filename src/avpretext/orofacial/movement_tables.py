"""Stage `orofacial_tables`: how well speech moves the face of people never heard, system by system."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config import Config
from avpretext.errors import UserError
from avpretext.evaluation import formats, intervals
from avpretext.evaluation.formats import decimal, probability
from avpretext.evaluation.scores import PERMUTATIONS, RESAMPLES, Rows, Scored, known
from avpretext.face.landmark_shards import vectors
from avpretext.face.points import OROFACIAL_POINTS
from avpretext.flow.paths import Layout
from avpretext.orofacial.movement_scores import ClipSums, Statistic
from avpretext.orofacial.table_names import COMPARED, MEASURE_NAMES, REST, SHOWN
from avpretext.shards import PathLike
from avpretext.training import finite

Floats = NDArray[np.float64]


def run(config: Config, output: PathLike) -> None:
    """Write the tables of the orofacial models.

    Parameters
    ----------
    config
        The whole configuration; what it names is read below its results folder.
    output
        Folder of the tables.
    """
    layout, folder = Layout(config.results), Path(output)
    found: dict[str, Path] = {
        system: Path(layout.orofacial(system, "predictions.parquet")) for system in config.orofacial.systems
    }
    layout_of_sums, scored = score(found)
    rows = metric_rows(scored, layout_of_sums, config)
    compared = comparison_rows(scored, layout_of_sums, config)
    columns = ["system", "speakers", "clips", "seeds"]
    measured = [f"{name}{end}" for name in layout_of_sums.measures() for end in ("", "_low", "_high")]
    formats.write_csv(folder / "orofacial.csv", [*columns, *measured], rows, places=6)
    pairs = ["system", "against", "measure", "difference", "low", "high", "p", "p_holm", "test", "speakers"]
    formats.write_csv(folder / "orofacial_comparisons.csv", pairs, compared, places=6)
    formats.write_text(folder / "orofacial.md", as_markdown(rows, compared, note(next(iter(found.values())), config)))
    columns = ["corpus", "clip_id", "left_out_of", "stage", "reason", "detail"]
    formats.write_csv(folder / "orofacial_left_out.csv", columns, left_out(found, config))


def score(predictions: Mapping[str, Path]) -> tuple[ClipSums, list[Scored]]:
    """Sum the test predictions of every system, and of a face that stays at rest, per speaker and seed.

    What is summed is laid out by `orofacial_scores.ClipSums`; sums of single runs are not kept.

    Raises
    ------
    UserError
        The systems were tested on different clips.
    """
    classes = shards.read_provenance(next(iter(predictions.values()))).get("classes", {})
    sums = ClipSums(classes.get("viseme", []), classes.get("emotion", []))
    scored = [_collect(name, path, sums, at_rest=False) for name, path in predictions.items()]
    first = scored[0]
    for system in scored:
        if (system.speakers, system.seeds, system.clips) != (first.speakers, first.seeds, first.clips):
            raise UserError(
                f"orofacial: {system.name} was tested on {system.clips} clips of {len(system.speakers)} speakers,"
                f" {first.name} on {first.clips} of {len(first.speakers)}: run `snakemake orofacial` again"
            )
    return sums, [*scored, _collect(REST, next(iter(predictions.values())), sums, at_rest=True)]


def _collect(name: str, path: Path, sums: ClipSums, at_rest: bool) -> Scored:
    made_by = shards.read_provenance(path)
    emotions = {} if at_rest else _emotions(path.with_name("clips.parquet"))
    found: dict[tuple[str, int], Floats] = {}
    clips = set()
    for rows in clip_tables(path):
        truth, said = (points_of(rows[column]) for column in ("truth", "movement"))
        finite.check_values(said, f"{path}: movement", "train the system again")
        key = (rows["speaker"][0].as_py(), rows["seed"][0].as_py())
        clip = (rows["corpus"][0].as_py(), rows["clip_id"][0].as_py())
        clips.add(clip)
        seen = [None] * rows.num_rows if at_rest else rows["viseme"].to_pylist()
        added = sums.of_clip(
            truth,
            np.zeros_like(said) if at_rest else said,
            float(made_by["fps"]),
            (rows["true_viseme"].to_pylist(), seen),
            emotions.get((*clip, key[1]), (None, None)),
        )
        found[key] = found[key] + added if key in found else added
    speakers, seeds = (sorted(set(part)) for part in zip(*found, strict=True))
    whole = np.zeros((len(speakers), len(seeds), len(next(iter(found.values())))))
    for (speaker, seed), added in found.items():
        whole[speakers.index(speaker), seeds.index(seed)] = added
    return Scored(name, whole, list(speakers), list(seeds), {}, len(clips))


def clip_tables(path: Path) -> Iterator[Any]:
    """Yield the rows of each clip of each run."""
    for _, rows in shards.iterate_clips(path):
        # A clip may be tested by several runs in a row, and corpora may use the same names.
        started = rows["frame"].to_numpy() == 0
        ends = [*np.flatnonzero(started).tolist(), rows.num_rows]
        for first, last in itertools.pairwise(ends):
            yield rows.slice(first, last - first).combine_chunks()


def points_of(column: Any) -> Floats:
    """Return a column of movements as (T, P, 2), NaN where null."""
    return vectors(column).reshape(len(column), len(OROFACIAL_POINTS), 2).astype(np.float64)


def _emotions(path: Path) -> dict[tuple[str, str, int], tuple[str | None, str | None]]:
    rows = shards.read(path, ["corpus", "clip_id", "seed", "emotion", "predicted"])
    return {(corpus, clip_id, seed): (true, said) for corpus, clip_id, seed, true, said in rows.iter_rows()}


def metric_rows(scored: Sequence[Scored], sums: ClipSums, config: Config) -> Rows:
    """Return a row per system: each measure with its interval over speakers."""
    rows = []
    options = config.evaluate
    for system in scored:
        weights = intervals.draw_resamples(len(system.speakers), options.bootstrap, [config.seed, RESAMPLES])
        row: dict[str, Any] = {
            "system": system.name, "speakers": len(system.speakers), "clips": system.clips, "seeds": len(system.seeds)
        }  # fmt: skip
        for measure, statistic in sums.measures().items():
            low, high = intervals.interval(
                intervals.score(system.sums, statistic, weights), len(system.speakers), options.level
            )
            value = intervals.score(system.sums, statistic)
            row |= {measure: known(value), f"{measure}_low": known(low), f"{measure}_high": known(high)}
        rows.append(row)
    return rows


def comparison_rows(scored: Sequence[Scored], sums: ClipSums, config: Config) -> Rows:
    """Return a row for each two systems and measure; p-values are corrected over the pairs of a measure."""
    systems = [system for system in scored if system.name != REST]
    rows: Rows = []
    for measure, statistic in sums.measures().items():
        if measure in COMPARED:
            pairs = [(other, one) for one, other in itertools.combinations(systems, 2)]
            family = [_compared(first, second, measure, statistic, config) for first, second in pairs]
            corrected = intervals.holm([row["p"] for row in family])
            rows += [
                row | {"p": known(row["p"]), "p_holm": known(value)}
                for row, value in zip(family, corrected, strict=True)
            ]
    return [row for row in rows if row["difference"] is not None]


def _compared(first: Scored, second: Scored, measure: str, statistic: Statistic, config: Config) -> dict[str, Any]:
    options, speakers = config.evaluate, len(first.speakers)
    weights = intervals.draw_resamples(speakers, options.bootstrap, [config.seed, RESAMPLES])
    resampled = [intervals.score(system.sums, statistic, weights) for system in (first, second)]
    low, high = intervals.interval(resampled[0] - resampled[1], speakers, options.level)
    difference = intervals.score(first.sums, statistic) - intervals.score(second.sums, statistic)
    tested = intervals.paired_test(
        first.sums, second.sums, statistic, options.permutations, [config.seed, PERMUTATIONS]
    )
    return {
        "system": first.name, "against": second.name, "measure": measure, "difference": known(difference),
        "low": known(low), "high": known(high), "p": tested.p_value, "test": tested.test, "speakers": speakers,
    }  # fmt: skip


def left_out(predictions: Mapping[str, Path], config: Config) -> Rows:
    """Return every clip of the corpora that was not tested, or has no visemes, with the stage that left it out and why.

    `left_out_of` is `everything` or `visemes`.
    """
    layout = Layout(config.results)
    tested = shards.read(next(iter(predictions.values())).with_name("clips.parquet"), ["corpus", "clip_id"])
    names = set(tested.iter_rows())
    rows: Rows = []
    for corpus in config.orofacial_corpora():
        refused = shards.read(layout.corpus(corpus, "rejects"), ["clip_id", "stage", "reason", "detail"])
        found = [{"corpus": corpus, "left_out_of": "everything", **row} for row in refused.iter_rows(named=True)]
        listed = config.corpora[corpus]
        rows += [*found, *_without_visemes(corpus, config)]
        paths = layout.shards(corpus, listed.clips_stage, listed.shards)
        said = {row["clip_id"] for row in found}
        for clip_id in shards.read(paths, ["clip_id"])["clip_id"]:
            if (corpus, clip_id) not in names and clip_id not in said:
                rows.append(
                    {"corpus": corpus, "clip_id": clip_id, "left_out_of": "everything", "stage": "orofacial_system",
                     "reason": "silent", "detail": "every channel of its speech is constant"}
                )  # fmt: skip
    return rows


def _without_visemes(corpus: str, config: Config) -> Rows:
    """Return the clips whose phones were not found: they are learnt and tested, without visemes."""
    paths = Layout(config.results).shards(corpus, "phones", config.corpora[corpus].shards, "rejects")
    refused = [row for path in paths if Path(path).is_file() for row in shards.read(path).iter_rows(named=True)]
    return [{"corpus": corpus, "left_out_of": "visemes", **row} for row in refused]


def note(predictions: Path, config: Config) -> str:
    """Return what must be known of the figures, in sentences."""
    made_by = shards.read_provenance(predictions)
    whom = (
        "Leave one clip out: the test clip's speaker is heard in training, so this is not a figure of unseen speakers."
        if made_by.get("speaker_leaks")
        else "Test speakers are never heard in training."
    )
    return (
        f"{whom} Movement in inter-ocular distances (between the outer eye corners) from the person's rest, velocities"
        f" per second; {100 * config.evaluate.level:g} % intervals and tests over speakers alone, not over"
        " trainings; CCC of a region: of all its coordinates together; lip aperture r: Pearson's, within a clip,"
        f" averaged over the clips; pooled: over all frames; {REST}: a face that stays at rest."
    )


def as_markdown(rows: Rows, compared: Rows, sentence: str) -> str:
    """Return systems and comparisons as Markdown."""
    shown = [name for name in SHOWN if any(row.get(name) is not None for row in rows)]
    header = ["system", *(MEASURE_NAMES[name] for name in shown)]
    systems = [[row["system"], *(interval_text(row, name) for name in shown)] for row in rows]
    pairs = [
        [f"{row['system']} against {row['against']}", MEASURE_NAMES[row["measure"]], difference_text(row),
         probability(row["p"]), probability(row["p_holm"])]
        for row in compared
    ]  # fmt: skip
    tables = formats.markdown(header, systems, numbers=1)
    if pairs:
        tables += "\n" + formats.markdown(["systems", "measure", "difference", "p", "p (Holm)"], pairs, numbers=2)
    return f"{sentence}\n\n{tables}"


def interval_text(row: Mapping[str, Any], measure: str) -> str:
    """Return a measure with its interval, as people read it."""
    if row.get(measure) is None:
        return ""
    places = 4 if measure.startswith("error") else 3
    text = decimal(row[measure], places)
    if row.get(f"{measure}_low") is None:
        return text
    return f"{text} [{decimal(row[f'{measure}_low'], places)}, {decimal(row[f'{measure}_high'], places)}]"


def difference_text(row: Mapping[str, Any]) -> str:
    """Return a difference with its interval, as people read it."""
    places = 4 if row["measure"].startswith("error") else 3
    text = decimal(row["difference"], places, sign=True)
    if row["low"] is None:
        return text
    return f"{text} [{decimal(row['low'], places, sign=True)}, {decimal(row['high'], places, sign=True)}]"

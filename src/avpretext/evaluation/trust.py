"""The stage `trust`: calibration of systems, their scores by speaker, by sex and in noise, the raters beside them."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from avpretext import shards
from avpretext.config import CorpusOptions, EvaluateOptions
from avpretext.corpora.label_maps import label_map_of
from avpretext.corpora.reader import is_media
from avpretext.corpora.readers import reader_of
from avpretext.corpora.settings import NUMBERS
from avpretext.corpora.targets import mapped_votes
from avpretext.errors import UserError
from avpretext.evaluation import degraded, raters, reliability, scores, subgroups
from avpretext.evaluation.evaluate import by_initialisation
from avpretext.evaluation.raters import Beside, Votes
from avpretext.evaluation.scores import Rows, Scored, Task
from avpretext.flow.artefacts import STAGES, schema_of
from avpretext.flow.provenance import provenance

System = tuple[Scored, pl.DataFrame]
"""A system and its test predictions."""


def run(
    predictions: Sequence[Path],
    targets: Path,
    corpus: CorpusOptions,
    options: EvaluateOptions,
    seed: int,
    output: Path,
) -> None:
    """Derive from predictions what there is to trust in them; nothing is trained.

    Parameters
    ----------
    predictions
        As those of `evaluate`.
    targets
        `targets` of the setting, which has the raters' votes where the labels come of them. Else they are read from
        the corpus, if it has any: the first of its sources of votes, those who hear.
    corpus
        Options of the corpus, whose reader knows the sex of its speakers.
    options
        Numbers of resamples and exchanges, the level of intervals, and the conditions.
    seed
        Seed of all that is drawn.
    output
        Folder for the files; those that do not apply have no rows.
    """
    task = scores.task_of(predictions)
    systems = [(scores.sums_of(name, rows, task), rows) for name, rows in by_initialisation(predictions, task.scoring)]
    tables = {
        **_calibration(systems, task, options, seed),
        **_groups(systems, task, corpus, options, seed),
        **_raters(systems, task, votes_of(targets, task, corpus), classes_of(predictions), options, seed),
        "conditions": _conditions(systems, predictions, task, options, seed),
    }
    made_by = provenance(
        "trust",
        {"evaluate": options.model_dump(mode="json"), "seed": seed, "reader": corpus.reader},
        kind=task.kind,
        classes=task.classes,
        target=task.target,
        setting=task.setting,
    )
    for name in STAGES["trust"].writes:
        shards.write_table(output / f"{name}.parquet", tables[name], schema_of(f"trust.{name}"), made_by)


def _conditions(
    systems: Sequence[System], predictions: Sequence[Path], task: Task, options: EvaluateOptions, seed: int
) -> Rows:
    if not options.conditions:
        return []
    return degraded.condition_rows(systems, scores.read_degraded(predictions, task.scoring), task, options, seed)


def classes_of(predictions: Sequence[Path]) -> list[str]:
    """Return the classes that the probabilities of predictions stand for."""
    classes: list[str] = shards.read_provenance(predictions[0]).get("classes", [])
    return classes


def _calibration(systems: Sequence[System], task: Task, options: EvaluateOptions, seed: int) -> dict[str, Rows]:
    kinds = [] if task.kind in NUMBERS else systems
    found = [reliability.of_system(system, rows, task) for system, rows in kinds]
    return {
        "calibration": reliability.calibration_rows(found, options, seed),
        "reliability": reliability.reliability_rows(found),
    }


def _groups(
    systems: Sequence[System], task: Task, corpus: CorpusOptions, options: EvaluateOptions, seed: int
) -> dict[str, Rows]:
    """Return the rows about speakers and sexes, of the clips whose speaker is known."""
    people = reader_of(corpus).people(corpus)
    found: dict[str, Rows] = {"speakers": [], "spread": [], "sexes": []}
    for system, rows in systems:
        # The path of a file stands for a speaker who is not known.
        told = {name: not is_media(name) for name in rows["speaker"].drop_nulls().unique()}
        named = rows.filter(pl.col("speaker").is_in([name for name, known in told.items() if known]))
        if named.is_empty():
            continue
        known = system if named.height == rows.height else scores.sums_of(system.name, named, task)
        found["speakers"] += subgroups.speaker_rows(known, named, task, people)
        found["spread"] += subgroups.spread_rows(known, named, task, seed)
        found["sexes"] += subgroups.sex_rows(known, named, task, people, options, seed)
    return {**found, "sexes": subgroups.corrected(found["sexes"])}


def votes_of(targets: Path, task: Task, corpus: CorpusOptions) -> Votes | None:
    """Return the raters' votes on the clips of a setting: those that its labels come of, else those of the corpus.

    None where there are none, or the labels are numbers.
    """
    if task.kind in NUMBERS:
        return None
    known = shards.read(targets, ["clip_id", "votes"])
    own = raters.by_name(dict(known.iter_rows()), shards.read_provenance(targets).get("classes", []), own=True)
    if own is not None or task.kind != "hard" or corpus.segment:
        return own
    try:
        return _corpus_votes(corpus)
    except UserError as error:
        print(f"trust: warning: raters are left out: {error}", file=sys.stderr)
        return None


def _corpus_votes(corpus: CorpusOptions) -> Votes | None:
    reader = reader_of(corpus)
    sources = [source for source in reader.sources(corpus).values() if source.kind == "votes"]
    read = sources[0].read if sources and reader.annotations(corpus) else None
    if read is None:
        return None
    table = read(corpus).unique("clip_id", keep="first", maintain_order=True)
    counts = table.drop("clip_id").cast(pl.Float64).fill_null(0.0)
    classes, summed = mapped_votes(counts.columns, counts.to_numpy(), label_map_of(corpus))
    return raters.by_name(dict(zip(table["clip_id"], summed.tolist(), strict=True)), classes, own=False)


def _raters(
    systems: Sequence[System],
    task: Task,
    votes: Votes | None,
    classes: Sequence[str],
    options: EvaluateOptions,
    seed: int,
) -> dict[str, Rows]:
    pairs: list[tuple[Beside, Beside]] = []
    for system, rows in systems if votes is not None and classes else []:
        said = rows["predicted"].to_list() if task.kind == "hard" else _likeliest(rows, classes)
        trainings = scores.trainings_of(len(system.seeds), [system.pretrainings])
        found = raters.beside(system.name, rows, said, votes, trainings) if votes is not None else []
        pairs += zip(found[::2], found[1::2], strict=True)
    return {"raters": raters.rater_rows(pairs, options, seed), "rater_confusion": raters.confusion_rows(pairs)}


def _likeliest(rows: pl.DataFrame, classes: Sequence[str]) -> list[str]:
    """Return the class of each prediction with the highest probability."""
    found: list[str] = np.array(classes)[np.array(rows["probabilities"].to_list()).argmax(axis=1)].tolist()
    return found

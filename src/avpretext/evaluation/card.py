"""Stage `card`: the model card of an exported model, as Markdown and as JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from avpretext import escapes, shards
from avpretext.config import CorpusOptions
from avpretext.corpora import published_of
from avpretext.corpora.reader import Published
from avpretext.errors import UserError
from avpretext.evaluation import card_metadata, formats, printed
from avpretext.evaluation.kinds import MEASURE_NAMES, SCORINGS
from avpretext.systems import SCRATCH
from avpretext.training.model_folder import CARD, README, UNKNOWN_LICENCE, Description, read_description


def run(
    model: Path, metrics: Path, corpus: str, options: CorpusOptions, readers: Mapping[str, str] | None, output: Path
) -> None:
    """Write `README.md` and `card.json`.

    Parameters
    ----------
    model
        The model's `model.json`.
    metrics
        `evaluate.metrics` of its setting.
    corpus, options
        Name and options of the corpus that it is tested on: its reader, and whether it is synthetic.
    readers
        corpus: reader, of the others that it is trained on, if any.
    output
        The folder to write.

    Raises
    ------
    UserError
        What the model starts from was not evaluated.
    """
    description = read_description(model.parent)
    rows = rows_of(metrics, description.initialisation)
    scores, classes = scores_of(rows)
    made_by = shards.read_provenance(metrics)
    others = {name: CorpusOptions(path=".", use=[], reader=reader) for name, reader in (readers or {}).items()}
    published = {name: published_of(of) for name, of in {corpus: options, **others}.items()}
    said: dict[str, Any] = {
        "corpus": corpus,
        "synthetic": options.synthetic,
        "setting": description.setting,
        "initialisation": description.initialisation,
        "protocol": description.setting.rpartition(".")[2],
        "leaks": description.speaker_leaks,
        "coverage": printed.coverage([(description.initialisation, rows.row(0, named=True))]),
        "level": made_by["options"]["evaluate"]["level"],
        "scores": scores,
        "classes": classes,
        "licences": {name: licence_of(of) for name, of in published.items()},
        "estimate": "The scores are of networks by the same recipe, tested on"
        f" {'clips' if description.speaker_leaks else 'speakers'} that they were not trained on; the networks of this"
        " model were trained on all clips.",
    }
    formats.write_text(output / CARD, json.dumps(said, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    metadata = card_metadata.front_matter(said, description.model.features, published)
    formats.write_text(output / README, metadata + as_markdown(said, description))


def rows_of(metrics: Path, initialisation: str) -> pl.DataFrame:
    """Return the metrics of what the model starts from."""
    rows = shards.read(metrics).filter(initialisation=initialisation)
    if rows.is_empty():
        raise UserError(f"{metrics}: has no scores of {initialisation!r}; run the stage 'evaluate' again")
    return rows


def scores_of(rows: pl.DataFrame) -> tuple[list[dict[str, Any]], dict[str, dict[str, float]]]:
    """Return every measure over all classes with its interval, and those of each class or attribute."""
    over_all = rows.filter(pl.col("class").is_null())
    named = {"measure": "measure", "value": "value", "ci_low": "low", "ci_high": "high"}
    counted = {name: name for name in ("speakers", "clips", "runs")}
    scores = [{new: row[old] for old, new in {**named, **counted}.items()} for row in over_all.iter_rows(named=True)]
    classes: dict[str, dict[str, float]] = {}
    for row in rows.filter(pl.col("class").is_not_null()).iter_rows(named=True):
        classes.setdefault(row["class"], {})[row["measure"]] = row["value"]
    return scores, classes


def licence_of(published: Published | None) -> str:
    """Return the licence of the corpus, as its reader knows it."""
    return UNKNOWN_LICENCE if published is None else f"{published.name}: {published.licence}"


def heaviest_layers(description: Description, count: int = 3) -> str:
    """Return the layers of a pre-trained encoder with the largest weights, such as `9 (.21), 8 (.15), 10 (.12)`."""
    if (by := description.encoder) is None:
        return ""
    sorted_layers = sorted(zip(by.layers, by.weights, strict=False), key=lambda pair: -pair[1])
    return ", ".join(f"{layer} ({formats.decimal(weight, 2)})" for layer, weight in sorted_layers[:count])


def how_it_learnt(description: Description) -> str:
    """Return what of a pre-trained encoder has learnt, in words."""
    if (by := description.encoder) is None or by.tuning is None:
        return "frozen"
    carried = "; what it has learnt is in `model.safetensors`"
    ways = {
        "frozen": "which has learnt in pre-training",
        "last_n": f"whose last layers ({by.tuning.last}) have learnt",
        "lora": f"with adapters of rank {by.tuning.rank} that have learnt",
        "full": "all of which has learnt",
    }
    return Markup(ways[by.tuning.tune] + carried)


def normalised_by(description: Description) -> str:
    """Return whose clips the input is normalised by, in words."""
    if description.as_one:
        return "all clips of a corpus: give it many files together, of several speakers"
    if description.by_speaker:
        return "each speaker's own clips: whoever predicts must say who speaks"
    return "the training clips"


def as_markdown(said: dict[str, Any], description: Description) -> str:
    """Return the card as a page."""
    template = Environment(
        loader=PackageLoader("avpretext.evaluation"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        finalize=lambda value: escapes.markdown(value) if type(value) is str else value,
    ).get_template("card.md")
    start, count = description.initialisation, description.pretrainings
    pretrained = f"{count} pre-trainings, the networks in turn" if count > 1 else "a pre-training"
    return template.render(
        **said,
        model=description,
        names=MEASURE_NAMES,
        note=Markup(SCORINGS[description.kind].note),
        number=lambda value: formats.decimal(value, 3),
        start="random weights" if start == SCRATCH else f"{pretrained}: {start.replace('-', ' + ')}",
        heaviest=heaviest_layers(description),
        how_it_learnt=how_it_learnt(description),
        heard=" and ".join(description.model.features),
        encoder_flag=f" --encoder {said_of.name.upper()}" if (said_of := description.encoder) else "",
        encoder_argument=f', encoder="{said_of.name.upper()}"' if said_of else "",
        normalised_by=normalised_by(description),
        speakers_flag=" --speakers folder" if description.by_speaker else "",
        speakers_argument=', speaker="me"' if description.by_speaker else "",
    )

"""The stage `tables`: what a reader wants to print, cite or plot, as CSV, and the main table as Markdown and LaTeX."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from avpretext import shards
from avpretext.config import TASKS, Config
from avpretext.evaluation import formats, summaries, truth
from avpretext.evaluation.formats import decimal, probability
from avpretext.evaluation.metrics import CLASS_MEASURES, MEASURES
from avpretext.paths import Layout
from avpretext.shards import PathLike

Rows = list[dict[str, Any]]

_SCORE = ("", "_low", "_high", "_mean", "_std", "_difference", "_p")
"""What the main table says of a measure: score on all test clips, its interval, spread over runs, against scratch."""

COLUMNS = {
    "main": [
        "corpus", "target", "initialisation", *TASKS, "speakers", "clips", "runs",
        *(f"{measure}{part}" for measure in MEASURES for part in _SCORE),
    ],
    "per_class": [
        "corpus", "target", "initialisation", "class", "clips",
        *(f"{measure}{part}" for measure in CLASS_MEASURES for part in _SCORE[:5]),
    ],
    "significance": [
        "corpus", "target", "measure", "initialisation", "baseline", "difference", "ci_low", "ci_high", "p_value",
        "p_holm", "speakers", "test",
    ],
    "label_balance": ["corpus", "task", "label", "count", "share"],
    "corpora": [
        "corpus", "reader", "use", "video", "synthetic", "target", "clips", "labelled", "speakers", "hours", "refused",
        "refused_share",
    ],
    "rejects": ["corpus", "stage", "reason", "clips", "meaning"],
    "rejects_clips": ["corpus", "clip_id", "path", "stage", "reason", "detail"],
    "truth": ["stage", "measure", "value"],
    "truth_action_units": ["action_unit", "pearson_r", "f1"],
    "provenance": ["of", "stage", "files", "stage_version", "package_version", "models", "options"],
}  # fmt: skip


def run(config: Config, output_dir: PathLike) -> None:
    """Write every result table.

    Parameters
    ----------
    config
        The whole configuration; what it names is read below its results folder.
    output_dir
        Folder for the tables.
    """
    layout, folder = Layout(config.results), Path(output_dir)
    rows = {
        "main": main_rows(config, layout),
        "per_class": per_class_rows(config, layout),
        "significance": significance_rows(config, layout),
        "label_balance": summaries.label_balance_rows(config, layout),
        "corpora": summaries.corpora_rows(config, layout),
        "rejects": summaries.rejects_rows(config, layout),
        "rejects_clips": summaries.rejects_of(config, layout).to_dicts(),
        "provenance": summaries.provenance_rows(config, layout),
    }
    if truth.corpora_with_truth(config):
        rows["truth"] = truth.truth_rows(config, layout)
        rows["truth_action_units"] = truth.action_unit_rows(config, layout)
    for name, table in rows.items():
        formats.write_csv(folder / f"{name}.csv", COLUMNS[name], table)
    formats.write_text(folder / "main.md", main_markdown(rows["main"], config))
    formats.write_text(folder / "main.tex", main_latex(rows["main"], config))
    formats.write_text(folder / "provenance.json", json.dumps(_unfolded(rows["provenance"]), indent=2) + "\n")


def _unfolded(provenance: Rows) -> Rows:
    """Turn the JSON within the rows into plain values."""
    return [{**row, "models": json.loads(row["models"]), "options": json.loads(row["options"])} for row in provenance]


def evaluated(config: Config, layout: Layout) -> list[str]:
    """Return the corpora that have metrics."""
    return [name for name in config.corpora if summaries.present([layout.corpus(name, "evaluate", "metrics")])]


def main_rows(config: Config, layout: Layout) -> Rows:
    """Return one row per corpus and initialisation: every overall measure, and its difference to scratch."""
    rows: Rows = []
    for name in evaluated(config, layout):
        metrics = shards.read(layout.corpus(name, "evaluate", "metrics")).filter(pl.col("class").is_null())
        comparisons = shards.read(layout.corpus(name, "evaluate", "comparisons"))
        for start in metrics["initialisation"].unique(maintain_order=True):
            of_start = metrics.filter(pl.col("initialisation") == start).to_dicts()
            row = {"corpus": name, "target": summaries.target_of(config.corpora[name]), "initialisation": start}
            row |= {task: task in start.split("-") for task in TASKS}
            row |= {key: of_start[0][key] for key in ("speakers", "clips", "runs")}
            for measured in of_start:
                row |= _score_cells(measured)
            for compared in comparisons.filter(pl.col("initialisation") == start).to_dicts():
                row |= _difference_cells(compared)
            rows.append(row)
    return rows


def _score_cells(row: dict[str, Any]) -> dict[str, Any]:
    measure = row["measure"]
    values = (row["value"], row["ci_low"], row["ci_high"], row["mean"], row["std"])
    return {f"{measure}{part}": value for part, value in zip(_SCORE, values, strict=False)}


def _difference_cells(row: dict[str, Any]) -> dict[str, Any]:
    """Return the cells of a comparison; those of its interval and correction are for the printed tables."""
    measure = row["measure"]
    names = {"difference": "difference", "ci_low": "difference_low", "ci_high": "difference_high", "p_value": "p"}
    return {f"{measure}_{name}": row[key] for key, name in names.items()} | {f"{measure}_p_holm": row["p_holm"]}


def per_class_rows(config: Config, layout: Layout) -> Rows:
    """Return one row per corpus, initialisation and class: precision, recall and F1."""
    rows: Rows = []
    for name in evaluated(config, layout):
        metrics = shards.read(layout.corpus(name, "evaluate", "metrics")).filter(pl.col("class").is_not_null())
        for (start, label), part in metrics.group_by("initialisation", "class", maintain_order=True):
            row = {"corpus": name, "target": summaries.target_of(config.corpora[name]), "initialisation": start}
            row |= {"class": label, "clips": part["clips"][0]}
            for measured in part.to_dicts():
                row |= _score_cells(measured)
            rows.append(row)
    return rows


def significance_rows(config: Config, layout: Layout) -> Rows:
    """Return every paired test against scratch."""
    rows: Rows = []
    for name in evaluated(config, layout):
        target = summaries.target_of(config.corpora[name])
        found = shards.read(layout.corpus(name, "evaluate", "comparisons")).to_dicts()
        rows += [{"corpus": name, "target": target, **row} for row in found]
    return rows


HEADER = (
    "Initialisation", "macro-F1", "mean ± std", "difference to scratch", "p", "p (Holm)", "UAR", "WAR",
    "macro-precision",
)  # fmt: skip


def printed(row: dict[str, Any]) -> list[str]:
    """Return the cells of `HEADER` for a row of the main table."""
    return [
        start_name(row["initialisation"]),
        with_interval(row, "macro_f1"),
        f"{decimal(row.get('macro_f1_mean'), 3)} ± {decimal(row.get('macro_f1_std'), 3)}",
        with_interval(row, "macro_f1_difference", sign=True),
        probability(row.get("macro_f1_p")),
        probability(row.get("macro_f1_p_holm")),
        *(decimal(row.get(measure), 3) for measure in ("uar", "war", "macro_precision")),
    ]


def start_name(initialisation: str) -> str:
    """Return an initialisation as people read it.

    >>> start_name("energy-emotion"), start_name("scratch")
    ('energy + emotion', 'scratch')
    """
    return initialisation.replace("-", " + ")


def with_interval(row: dict[str, Any], name: str, sign: bool = False) -> str:
    """Return a score with its interval, such as `0.612 [0.540, 0.684]`; nothing where there is none."""
    if row.get(name) is None:
        return ""
    low, high = (decimal(row.get(f"{name}_{end}"), 3, sign) for end in ("low", "high"))
    value = decimal(row[name], 3, sign)
    text = f"{value} [{low}, {high}]" if low and high else value
    return text.replace("-", "−")


def notes(config: Config) -> list[str]:
    """Return what the reader of the main table must know, in sentences."""
    level = f"{100 * config.evaluate.level:g} %"
    heard = [
        f"Pre-training heard the speech of {corpus}, without its labels, that of the test speakers too."
        for corpus in config.heard_in_pretraining()
    ]
    if not config.used_for("finetune"):
        return ["No corpus is used for fine-tuning, so there is nothing to score: add one with `use: [finetune]`."]
    return [
        *heard,
        f"Scores are on all test clips together, seed by seed, averaged over the seeds; brackets: {level} interval by"
        f" bootstrap over speakers ({config.evaluate.bootstrap} resamples).",
        "mean ± std: over the runs (fold and seed), each scored by itself.",
        "p: paired test against scratch by exchanging the two systems' predictions of whole speakers; Holm: corrected"
        " for the number of initialisations compared.",
        "UAR is macro recall; WAR is the share of clips that are right. Their intervals and tests are in main.csv.",
    ]


def caption(corpus: str, rows: Rows, config: Config) -> str:
    """Return what a printed main table is about, and on what; a synthetic corpus is called so."""
    row = rows[0]
    text = (
        f"{corpus}, target {row['target']}: {row['clips']} test clips of {row['speakers']} speakers, {row['runs']} runs"
    )
    return f"Synthetic demo corpus, not real speech. {text}" if config.corpora[corpus].synthetic else text


def _by_corpus(rows: Rows) -> dict[str, Rows]:
    grouped: dict[str, Rows] = {}
    for row in rows:
        grouped.setdefault(row["corpus"], []).append(row)
    return grouped


def main_markdown(rows: Rows, config: Config) -> str:
    """Return the main table as Markdown: a section per corpus."""
    parts = ["# Results\n"]
    for corpus, part in _by_corpus(rows).items():
        parts.append(f"## {corpus}\n\n{caption(corpus, part, config)}.\n")
        parts.append(formats.markdown(HEADER, [printed(row) for row in part], numbers=1))
    parts.append("\n".join(f"- {note}" for note in notes(config)) + "\n")
    return "\n".join(parts)


def main_latex(rows: Rows, config: Config) -> str:
    """Return the main table as LaTeX: a table per corpus; needs the package booktabs."""
    parts = [
        formats.latex(HEADER, [printed(row) for row in part], 1, f"{caption(corpus, part, config)}.", f"main-{corpus}")
        for corpus, part in _by_corpus(rows).items()
    ]
    parts.append("\n".join(f"% {note}" for note in notes(config)) + "\n")
    return "\n".join(parts)

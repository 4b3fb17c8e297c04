"""The stage `tables`: what a reader wants to print, cite or plot, as CSV, and the main table as Markdown and LaTeX."""

import json
from collections.abc import Callable
from pathlib import Path

from avpretext.config import TASKS, Config
from avpretext.evaluation import (
    agreement,
    au_summary,
    compare_aus,
    fold_table,
    formats,
    label_speakers,
    printed,
    results,
    sound_summary,
    summaries,
    truth,
)
from avpretext.evaluation.kinds import MEASURE_NAMES
from avpretext.evaluation.metrics import CLASS_MEASURES
from avpretext.evaluation.results import DIFFERENCE, SCORE, Evaluated
from avpretext.evaluation.summaries import Rows
from avpretext.flow.paths import Layout

_NAMED = ("corpus", "target", "protocol")
"""What names every result."""

COLUMNS = {
    "main": [
        *_NAMED, "initialisation", *TASKS, "speakers", "clips", "runs", "seeds", "pretrainings",
        *(f"{measure}{part}" for measure in MEASURE_NAMES for part in (*SCORE, *DIFFERENCE)), "warnings",
    ],
    "per_class": [
        *_NAMED, "initialisation", "class", "clips",
        *(f"{measure}{part}" for measure in CLASS_MEASURES for part in SCORE),
    ],
    "significance": [
        *_NAMED, "measure", "initialisation", "baseline", "difference", "ci_low", "ci_high", "p_value", "p_holm",
        "family", "std_error", "df", "speakers", "seeds", "pretrainings",
    ],
    "seeds": [*_NAMED, "initialisation", "pretraining", "seed", "measure", "value", "difference"],
    "co_occurrence": list(results.CO_OCCURRENCE_COLUMNS),
    "folds": [*_NAMED, "fold", "name", "part", "clips_of", "speakers", "clips", "speaker_names", "lacks_classes"],
    "label_balance": ["corpus", "task", "target", "label", "count", "share"],
    "label_speakers": ["corpus", "speaker", "task", "target", "label", "count", "share"],
    "label_agreement": [
        "corpus", "task", "label", "other_task", "other_label", "chunks", "all_chunks", "all_clips", "cramers_v",
        "kappa",
    ],
    "corpora": [
        "corpus", "reader", "use", "video", "synthetic", "target", "clips", "labelled", "speakers", "unknown_speakers",
        "alike_speakers", "hours", "duplicates", *sound_summary.ODD, "refused", "refused_share",
    ],
    "copies": [*_NAMED, "fold", "clips_of", "clip_id", "copy_of"],
    "rejects": ["corpus", "stage", "reason", "clips", "meaning"],
    "rejects_clips": ["corpus", "clip_id", "path", "stage", "reason", "detail"],
    "action_units": [
        "corpus", "label", "action_unit", "clips", "frames", "active_frames", "active_clips", "mean", "quantile_90",
        "clip_intensity",
    ],
    "au_combinations": ["corpus", "rank", "action_units", "clips", "share", "labels"],
    "compared_action_units": ["corpus", *compare_aus.COLUMNS],
    "truth": ["stage", "measure", "value"],
    "truth_action_units": ["action_unit", "pearson_r", "f1"],
    "provenance": ["of", "stage", "files", "stage_version", "package_version", "models", "options", "machine"],
}  # fmt: skip


def run(config: Config, output: Path) -> None:
    """Write every result table.

    Parameters
    ----------
    config
        The whole configuration; what it names is read below its results folder.
    output
        Folder for the tables.
    """
    layout, folder = Layout(config.results), Path(output)
    rows = {
        "main": _of_all(_main_rows, config, layout),
        "per_class": _of_all(results.per_class_rows, config, layout),
        "seeds": _of_all(results.seed_rows, config, layout),
        "significance": _of_all(results.significance_rows, config, layout),
        "folds": fold_table.fold_rows(config, layout),
        "copies": fold_table.copy_rows(config, layout),
        "label_balance": summaries.label_balance_rows(config, layout),
        "label_speakers": label_speakers.speaker_rows(config, layout),
        "label_agreement": agreement.agreement_rows(agreement.agreements(config, layout)),
        "corpora": summaries.corpora_rows(config, layout),
        "rejects": summaries.rejects_rows(config, layout),
        "rejects_clips": summaries.rejects_of(config, layout).to_dicts(),
        "provenance": summaries.provenance_rows(config, layout),
    }
    rows["action_units"], rows["au_combinations"] = au_summary.action_unit_rows(config, layout)
    if config.report.compare_action_units is not None:
        rows["compared_action_units"] = compare_aus.rows_of(config, layout)
    if config.finetune.loss == "penalty":
        rows["co_occurrence"] = _of_all(results.co_occurrence_rows, config, layout)
    if truth.corpora_with_truth(config):
        rows["truth"] = truth.truth_rows(config, layout)
        rows["truth_action_units"] = truth.action_unit_rows(config, layout)
    for name, table in rows.items():
        formats.write_csv(folder / f"{name}.csv", COLUMNS[name], table)
    formats.write_text(folder / "main.md", printed.main_markdown(config, layout))
    formats.write_text(folder / "main.tex", printed.main_latex(config, layout))
    formats.write_text(
        folder / "provenance.json", json.dumps(_unfolded(rows["provenance"]), indent=2, allow_nan=False) + "\n"
    )


def _main_rows(one: Evaluated, layout: Layout) -> Rows:
    """Return the rows of the main table, with what makes their figures wrong."""
    protocol = fold_table.protocol_of(one.corpus, one.setting, layout)
    warnings = " ".join(protocol.warnings) if protocol else ""
    return [row | {"warnings": warnings or None} for row in results.main_rows(one, layout)]


def _of_all(rows: Callable[[Evaluated, Layout], Rows], config: Config, layout: Layout) -> Rows:
    """Return the rows of every corpus and setting."""
    return [row for one in results.evaluated(config, layout) for row in rows(one, layout)]


def _unfolded(provenance: Rows) -> Rows:
    """Turn the JSON within the rows into plain values."""
    return [{**row, **{name: json.loads(row[name]) for name in ("models", "options", "machine")}} for row in provenance]

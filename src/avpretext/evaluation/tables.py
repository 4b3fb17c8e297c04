"""The stage `tables`: every result table as CSV, the main table also as Markdown and LaTeX."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from avpretext.config import Config
from avpretext.evaluation import (
    agreement,
    au_summary,
    compare_aus,
    fold_table,
    formats,
    label_counts,
    label_warnings,
    layer_weights,
    printed,
    printed_overall,
    results,
    summaries,
    truth,
)
from avpretext.evaluation.kinds import SCORINGS, measure_columns
from avpretext.evaluation.metrics import CLASS_MEASURES
from avpretext.evaluation.open_run import NAMED, Evaluated, OpenRun, Rows
from avpretext.evaluation.results import DIFFERENCE, SCORE
from avpretext.flow.artefacts import STAGES
from avpretext.flow.tasks import TASKS


def _main_columns(measures: Iterable[str]) -> list[str]:
    counts = ("speakers", "clips", "runs", "seeds", "pretrainings")
    scores = (f"{measure}{part}" for measure in measures for part in (*SCORE, *DIFFERENCE))
    return [*NAMED, "initialisation", *TASKS, *counts, *scores, "warnings"]


def _columns_of(name: str) -> list[str]:
    return STAGES["trust"].writes[name].columns.split()


COLUMNS = {
    "main": _main_columns(measure_columns()),
    "per_class": [
        *NAMED, "initialisation", "class", "clips",
        *(f"{measure}{part}" for measure in CLASS_MEASURES for part in SCORE),
    ],
    "significance": [
        *NAMED, "measure", "initialisation", "baseline", "difference", "ci_low", "ci_high", "p_value", "p_holm",
        "family", "std_error", "df", "speakers", "seeds", "pretrainings",
    ],
    "seeds": [*NAMED, "initialisation", "pretraining", "seed", "measure", "value", "difference"],
    "overall": STAGES["overall"].writes[""].columns.split(),
    "calibration": [*NAMED, *_columns_of("calibration")],
    "reliability": [*NAMED, *_columns_of("reliability")],
    "by_speaker": [*NAMED, *_columns_of("speakers")],
    "speaker_spread": [*NAMED, *_columns_of("spread")],
    "by_sex": [*NAMED, *_columns_of("sexes")],
    "raters": [*NAMED, *_columns_of("raters")],
    "rater_confusion": [*NAMED, *_columns_of("rater_confusion")],
    "conditions": [*NAMED, *_columns_of("conditions")],
    "co_occurrence": results.CO_OCCURRENCE_COLUMNS,
    "layer_weights": [*NAMED, *layer_weights.COLUMNS],
    "folds": [*NAMED, "fold", "name", "part", "clips_of", "speakers", "clips", "speaker_names", "lacks_classes"],
    "label_balance": ["corpus", "task", "target", "label", "count", "share"],
    "label_speakers": ["corpus", "speaker", "task", "target", "label", "count", "share"],
    "label_agreement": [
        "corpus", "task", "label", "other_task", "other_label", "chunks", "all_chunks", "all_clips", "cramers_v",
        "kappa",
    ],
    "corpora": [
        "corpus", "reader", "use", "video", "audio", "synthetic", "target", "clips", "labelled", "speakers",
        "unknown_speakers", "alike_speakers", "hours", "duplicates", "altered", *summaries.ODD_SOUND, "refused",
        "refused_share",
    ],
    "copies": [*NAMED, "fold", "clips_of", "clip_id", "copy_of"],
    "rejects": ["corpus", "stage", "reason", "clips", "meaning"],
    "rejects_clips": ["corpus", "clip_id", "path", "stage", "reason", "detail"],
    "action_units": [
        "corpus", "label", "action_unit", "clips", "frames", "active_frames", "active_clips", "mean", "quantile_90",
        "clip_intensity",
    ],
    "label_warnings": ["corpus", "task", "clips", "of", "warning"],
    "au_combinations": ["corpus", "rank", "action_units", "clips", "share", "labels"],
    "compared_action_units": ["corpus", *compare_aus.COLUMNS],
    "truth": ["stage", "measure", "value"],
    "truth_action_units": ["action_unit", "pearson_r", "f1"],
    "truth_confidence": ["confidence", "clips", "right"],
    "provenance": ["of", "stage", "files", "stage_version", "package_version", "models", "options", "machine"],
}  # fmt: skip


def columns_of(run: OpenRun) -> dict[str, list[str]]:
    """Return `COLUMNS`, with those of several attributes where any are learnt together."""
    kinds = {one.setting.kind for one in run.settings()}
    together = SCORINGS["attributes"].measures if "attributes" in kinds else ()
    of_each = [f"{measure}{part}" for measure in together for part in SCORE]
    main = _main_columns(measure_columns(kinds))
    return {**COLUMNS, "main": main, "per_class": [*COLUMNS["per_class"], *of_each]}


def run(config: Config, output: Path) -> None:
    """Write every result table.

    Parameters
    ----------
    config
        The whole configuration; what it names is read below its results folder.
    output
        Folder for the tables.
    """
    run, folder = OpenRun(config), Path(output)
    rows = {
        "main": _of_all(_main_rows, run),
        "per_class": _of_all(results.per_class_rows, run),
        "seeds": _of_all(_scores("seeds"), run),
        "significance": _of_all(_scores("comparisons"), run),
        "calibration": _of_all(_trust("calibration"), run),
        "reliability": _of_all(_trust("reliability"), run),
        "by_speaker": _of_all(_trust("speakers"), run),
        "speaker_spread": _of_all(_trust("spread"), run),
        "by_sex": [row | {"sex": row["sex"] or "not known"} for row in _of_all(_trust("sexes"), run)],
        "raters": _of_all(_trust("raters"), run),
        "rater_confusion": _of_all(_trust("rater_confusion"), run),
        "conditions": _of_all(_trust("conditions"), run),
        "folds": [row for one in run.settings() for row in fold_table.fold_rows(run, one)],
        "copies": [row for one in run.settings() for row in fold_table.copy_rows(run, one)],
        "label_balance": label_counts.balance_rows(run),
        "label_speakers": label_counts.speaker_rows(run),
        "label_agreement": agreement.agreement_rows(agreement.agreements(run)),
        "corpora": summaries.corpora_rows(run),
        "rejects": summaries.rejects_rows(run),
        "rejects_clips": run.refused.to_dicts(),
        "provenance": summaries.provenance_rows(run),
    }
    rows["action_units"], rows["au_combinations"], combinations = au_summary.action_unit_rows(run)
    rows["label_warnings"] = label_warnings.warning_rows(run, combinations)
    if config.report.compare_action_units is not None:
        rows["compared_action_units"] = compare_aus.rows_of(run)
    if config.finetune.loss == "penalty":
        rows["co_occurrence"] = _of_all(results.co_occurrence_rows, run)
    together = run.overall()
    if together is not None:
        rows["overall"] = [row | {"left_out": ", ".join(row["left_out"])} for row in together.to_dicts()]
        over_all = printed_overall.document(run)
        formats.write_text(folder / "overall.md", over_all.markdown())
        formats.write_text(folder / "overall.tex", over_all.latex())
    if layer_weights.mixes(config):
        rows["layer_weights"] = _of_all(layer_weights.layer_rows, run)
    if config.with_truth():
        rows["truth"] = truth.truth_rows(run)
        rows["truth_action_units"] = truth.action_unit_rows(run)
        rows["truth_confidence"] = truth.confidence_rows(run)
    columns = columns_of(run)
    for name, table in rows.items():
        formats.write_csv(folder / f"{name}.csv", columns[name], table)
    main = printed.document(run)
    formats.write_text(folder / "main.md", main.markdown())
    formats.write_text(folder / "main.tex", main.latex())
    unfolded = [
        row | {name: json.loads(row[name]) for name in ("models", "options", "machine")} for row in rows["provenance"]
    ]
    formats.write_text(folder / "provenance.json", json.dumps(unfolded, indent=2, allow_nan=False) + "\n")


def _main_rows(run: OpenRun, one: Evaluated) -> Rows:
    """Return the rows of the main table, with what makes their figures wrong."""
    warnings = " ".join(fold_table.protocol_of(run, one).warnings)
    return [row | {"warnings": warnings or None} for row in results.main_rows(run, one)]


def _scores(name: str) -> Callable[[OpenRun, Evaluated], Rows]:
    return lambda run, one: [one.named | row for row in run.scores(one, name).to_dicts()]


def _trust(name: str) -> Callable[[OpenRun, Evaluated], Rows]:
    def rows(run: OpenRun, one: Evaluated) -> Rows:
        found = run.trust(one, name)
        return [] if found is None else [one.named | row for row in found.to_dicts()]

    return rows


def _of_all(rows: Callable[[OpenRun, Evaluated], Rows], run: OpenRun) -> Rows:
    """Return the rows of every corpus and setting that has scores."""
    return [row for one in run.evaluated() for row in rows(run, one)]

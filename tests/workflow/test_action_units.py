"""Action units of another program: imported, compared with ours, labelled; and what is missing is said at the start."""

import csv
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from avpretext import shards
from avpretext.flow.columns import ACTION_UNITS
from tests.workflow.project import Project

UNKNOWN_TO_OPENFACE = ("AU11", "AU14", "AU24", "AU28", "AU43")


def as_openface(truth: pl.DataFrame, folder: Path) -> None:
    """Write true action units as OpenFace 2 would have measured them: a CSV per clip, intensities 0 to 5."""
    known = [unit for unit in ACTION_UNITS if unit not in UNKNOWN_TO_OPENFACE]
    for (clip_id,), frames in truth.filter(pl.col("corpus") == "unlabelled").group_by("clip_id"):
        file = folder / f"{clip_id}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = [", ".join(["frame", "face_id", "timestamp", "confidence", "success", *(f"{u}_r" for u in known)])]
        for row in frames.sort("frame").iter_rows(named=True):
            values = [f"{5 * row[unit]:.2f}" for unit in known]
            lines.append(", ".join([str(row["frame"] + 1), "0", f"{row['time_s']:.3f}", "0.98", "1", *values]))
        file.write_text("\n".join(lines) + "\n", "utf-8")


@pytest.mark.workflow
def test_imported_action_units_give_the_labels_that_they_show(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "copy")
    truth = shards.read(project.folder / "demo/truth/action_units.parquet")
    as_openface(truth, project.folder / "openface")
    changes: dict[str, Any] = {
        "action_units": {"backend": "import", "imports": "openface"},
        "report": {"compare_action_units": str(finished.folder / "results")},
        "pretrain": {**project.config["pretrain"], "task_sets": [["energy"]]},  # which reads no action units
    }
    runs = project.snakemake("--dry-run", **changes).would_run()
    assert not {"index", "watch", "neutral", "labels_energy"} & set(runs)
    made = "results/unlabelled/labels_emotion/all.parquet"
    project.snakemake(made, "results/tables/main.csv", **changes)
    labels = shards.read(project.folder / made)
    known = shards.read(project.folder / "demo/truth/clips.parquet").filter(pl.col("corpus") == "unlabelled")
    both = labels.drop_nulls("label").join(known, on="clip_id")
    assert both.height >= 0.9 * labels.height
    assert (both["label"] == both["emotion"]).mean() >= 0.9
    with (project.folder / "results/tables/compared_action_units.csv").open(encoding="utf-8", newline="") as file:
        compared = {row["action_unit"]: row for row in csv.DictReader(file)}
    assert float(compared["AU12"]["pearson_r"]) >= 0.6
    assert compared["AU24"]["pearson_r"] == "", "OpenFace does not know it"
    (next((project.folder / "openface").rglob("*.csv"))).write_text("frame, timestamp\n")
    assert project.snakemake("--dry-run", **changes).would_run()["action_units"] == 2


def test_py_feat_that_is_not_there_is_said_before_anything_runs(finished: Project) -> None:
    run = finished.snakemake(check=False, action_units={"backend": "pyfeat"})
    assert run.status != 0
    assert "make pyfeat" in run.text
    assert not run.would_run()

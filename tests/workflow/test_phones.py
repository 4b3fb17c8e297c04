"""Phones on request: from the words that the corpus knows, scored against the truth, and no part of the main flow."""

import copy
import csv
import shutil
from pathlib import Path

import pytest

from avpretext import shards
from avpretext.orofacial import visemes
from avpretext.orofacial.phone_scores import scores
from tests.workflow.project import Project


@pytest.mark.workflow
def test_phones_are_made_when_asked_for_and_agree_with_the_truth(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "copy")
    corpora = copy.deepcopy(project.config["corpora"])
    corpora["unlabelled"]["transcripts"] = "demo/truth/clips.parquet"
    mine = project.folder / "mine.yaml"
    shutil.copy(Path(visemes.__file__).with_suffix(".yaml"), mine)
    changes = {"corpora": corpora, "phones": {"visemes": "mine.yaml"}}
    # Tables and report name the whole configuration.
    assert set(project.snakemake("--dry-run", **changes).would_run()) <= {"manifest", "tables", "report"}, (
        "not in the main flow"
    )
    assert project.snakemake("visemes", "--dry-run", **changes).would_run()["phones"] == 3
    project.snakemake("visemes", **changes)
    truth = shards.read(project.folder / "demo/truth/phonemes.parquet")
    with (project.results / "tables/phone_scores.csv").open(encoding="utf-8", newline="") as file:
        table = {(row["corpus"], row["measure"]): float(row["value"]) for row in csv.DictReader(file)}
    for corpus, clips in (("unlabelled", 16), ("labelled", 24)):
        found = shards.read(sorted((project.results / corpus / "phones").glob("*.parquet")))
        measured = scores(found, truth, clips)
        written = {measure: value for (of, measure), value in table.items() if of == corpus}
        assert written == (pytest.approx(measured, abs=1e-5) if corpus == "unlabelled" else {}), "where truth is known"
        assert measured["clips_found"] >= 0.85
        assert measured["phones_right"] >= 0.6
        assert measured["visemes_right"] >= 0.63
        assert measured["boundary_median_ms"] <= 20
    mine.write_text(mine.read_text().replace("P:", "CLOSED:"))
    assert project.snakemake("visemes", "--dry-run", **changes).would_run()["phones"] == 3
    mine.write_text("P: [PP]\n")
    failed = project.snakemake("visemes", check=False, **changes)
    assert failed.status != 0
    assert "mine.yaml: P: 'PP' is no phone; did you mean 'P'" in failed.text

"""Speech that moves a face, in small, through the workflow: from landmarks to tables, page, models and films."""

import csv
import json
from pathlib import Path

import pytest

from avpretext import shards
from tests.workflow.project import Project

SMALL = {
    "folds": 3, "dev_speakers": 1, "epochs": 2, "patience": 2, "films": 1,
    "model": {"width": 8, "helper_width": 4},
}  # fmt: skip


@pytest.fixture(scope="module")
def moved(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished project whose faces are moved too."""
    project = finished.copy(tmp_path_factory.mktemp("orofacial") / "a project")
    project.config = {**project.config, "phones": {"backend": "truth"}, "orofacial": SMALL}
    project.snakemake("orofacial")
    return project


@pytest.mark.workflow
def test_every_system_is_scored_on_every_clip(moved: Project) -> None:
    with (moved.results / "tables/orofacial.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["system"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["single", "joint", "cascade", "rest"]
    assert {row["clips"] for row in rows.values()} == {"16"}
    for system in ("joint", "cascade"):
        assert 0 <= float(rows[system]["viseme_uar"]) <= 1
        assert 0 <= float(rows[system]["emotion_uar"]) <= 1
    assert float(rows["rest"]["error_all"]) < 0.2, "in inter-ocular distances a mouth moves by a few hundredths"
    text = (moved.results / "tables/orofacial.md").read_text()
    assert text.startswith("Test speakers are never in training.")
    page = (moved.results / "orofacial.html").read_text()
    assert "synthetic" in page
    assert "://" not in page.replace("http://www.w3.org", ""), "nothing is fetched"


@pytest.mark.workflow
def test_a_model_is_kept_and_moves_a_mouth_by_any_file(moved: Project, tmp_path: Path) -> None:
    from avpretext.orofacial import animate

    model = moved.results / "orofacial/joint/model"
    assert json.loads((model / "model.json").read_text())["trained_on"]["speakers"] == 3
    clip = next((moved.folder / "demo/labelled").rglob("*.mp4"))
    animate.run(model, clip, tmp_path / "mouth.mp4", tmp_path / "shapes.csv")
    with (tmp_path / "shapes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 25
    assert all(0 <= float(row["jawOpen"]) <= 1 for row in rows)
    assert (tmp_path / "mouth.mp4").read_bytes()[4:8] == b"ftyp"


@pytest.mark.workflow
def test_films_are_of_tested_clips(moved: Project) -> None:
    films = list((moved.results / "orofacial/films").glob("*.mp4"))
    assert len(films) == 1
    tested = shards.read(moved.results / "orofacial/joint/clips.parquet")
    names = {f"{row['corpus']}-{row['clip_id']}".replace("/", "-") for row in tested.to_dicts()}
    assert films[0].stem in names


@pytest.mark.workflow
def test_nothing_of_it_runs_unless_asked_and_another_weight_trains_again(moved: Project) -> None:
    reprinted = {"manifest", "tables", "report"}  # they show the configuration
    assert set(moved.snakemake("--dry-run").would_run()) <= reprinted
    changed = {**SMALL, "weights": {"emotion": 0.5}}
    runs = moved.snakemake("orofacial", "--dry-run", orofacial=changed).would_run()
    assert runs == {"orofacial_system": 3, "orofacial_tables": 1, "film": 1, "orofacial": 1}

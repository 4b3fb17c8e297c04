"""The workflow as a module of somebody's own workflow, twice, beside rules of theirs."""

import shutil
import zipfile
from pathlib import Path

import pytest

from avpretext.flow.result_tables import TABLES
from tests.workflow.project import REPOSITORY, Project, Run

SNAKEFILE = f"""
module avpretext:
    snakefile:
        "{REPOSITORY}/workflow/Snakefile"
    config:
        config

use rule * from avpretext as ser_*

module longer:
    snakefile:
        "{REPOSITORY}/workflow/Snakefile"
    config:
        {{**config, "finetune": {{"seeds": 1, "epochs": 2}}}}
    prefix:
        "longer"

use rule * from longer as longer_*

rule both:
    default_target: True
    input: "results/tables/main.csv", "longer/results/tables/main.csv"
    output: "results/both.csv"
    shell: "cat {{input}} > {{output}}; echo PYTHONPATH=${{{{PYTHONPATH:-none}}}}"

onstart:
    print("The handler of the main Snakefile.")
"""


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory, sounds: Project) -> Project:
    """A folder with a Snakefile of its own, which has run to its end."""
    folder = tmp_path_factory.mktemp("module") / "a project"
    shutil.copytree(sounds.folder, folder, ignore=shutil.ignore_patterns("results", ".snakemake"))
    (folder / "Snakefile").write_text(SNAKEFILE)
    project = Project(folder, sounds.config)
    said = run(project).text
    assert "The handler of the main Snakefile." in said
    assert "PYTHONPATH=none" in said, "what our rules export is not theirs"
    return project


def run(project: Project, *words: str) -> Run:
    return project.snakemake("--snakefile", str(project.folder / "Snakefile"), *words)


@pytest.mark.workflow
def test_a_module_makes_what_the_workflow_makes(used: Project, sounds: Project) -> None:
    made = {name: content for name, content in used.artefacts().items() if name != "both.csv"}
    assert made == sounds.artefacts()
    assert len((used.results / "runs.jsonl").read_text().splitlines()) == 1


@pytest.mark.workflow
def test_another_copy_with_another_configuration_has_results_under_its_prefix(used: Project) -> None:
    other = Project(used.folder, {**used.config, "results": "longer/results"})
    assert other.artefacts().keys() == used.artefacts().keys() - {"both.csv"}
    history = "mine/finetune/mood.partitions/base.mean/scratch/history.parquet"
    assert other.artefacts()[history] != used.artefacts()[history], "one epoch more"
    assert (used.folder / "longer/results/runs.jsonl").exists()


@pytest.mark.workflow
def test_what_fits_is_not_made_again(used: Project) -> None:
    assert "Nothing to be done" in run(used, "--dry-run").text
    shutil.rmtree(used.folder / ".snakemake")
    assert "Nothing to be done" in run(used, "--dry-run").text, "by the recipes of the artefacts alone"


@pytest.mark.workflow
def test_snakemakes_own_report_has_tables_and_what_is_in_them(used: Project, tmp_path: Path) -> None:
    run(used, "--report", str(tmp_path / "r.zip"))
    with zipfile.ZipFile(tmp_path / "r.zip") as file:
        main = [file.read(name).decode() for name in file.namelist() if name.endswith("/main.csv")]
        page = file.read("r/report.html").decode()
    assert (used.results / "tables/main.csv").read_text() in main
    assert len(main) == 2, "of both copies"
    assert TABLES["by_speaker.csv"] in page
    assert "Written by the stage" in page

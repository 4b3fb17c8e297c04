"""What plans nothing needs no corpus: a fresh clone is linted, and its rules are listed."""

from pathlib import Path

from tests.workflow.project import REPOSITORY, Project, small_config


def test_the_workflow_is_linted_and_listed_without_any_corpus(tmp_path: Path) -> None:
    project = Project(tmp_path, small_config())
    assert "your workflow is in a good condition" in project.snakemake("--lint").text
    assert {"index", "finetune", "report"} <= set(project.snakemake("--list-rules").text.split())


def test_a_project_may_have_rules_of_its_own_before_it_includes_ours(tmp_path: Path) -> None:
    project = Project(tmp_path, small_config())
    own = tmp_path / "Snakefile"
    own.write_text(
        f'rule mine:\n    output: "mine.txt"\n    shell: "touch {{output}}"\n\ninclude: "{REPOSITORY / "Snakefile"}"\n'
    )
    assert {"mine", "index"} <= set(project.snakemake("--list-rules", "--snakefile", str(own)).text.split())

"""A full disk, and a results folder that cannot be written to: one clear line, and nothing is lost."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workflow.project import Project, Run

DISK_BYTES = 64 << 20
FREE_BYTES = 256 << 10
"""Left on the full disk: more than the recipes of a run, less than the functionals of a shard."""


def mount(*arguments: str) -> bool:
    """Tell whether mounting is possible here."""
    program = shutil.which("mount")
    if program is None:
        return False
    return subprocess.run([program, *arguments], capture_output=True, check=False).returncode == 0


@pytest.fixture
def unfinished(finished: Project, tmp_path: Path) -> Iterator[Project]:
    """A copy of the finished run that has its results on a small disk of their own, and some of them still to make."""
    project = Project(tmp_path / "copy", finished.config)
    shutil.copytree(finished.folder, project.folder, ignore=shutil.ignore_patterns("results"))
    project.results.mkdir()
    if not mount("-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(project.results)):
        pytest.skip("mounting a small disk is not allowed here: run as root, with the right to mount")
    try:
        shutil.copytree(finished.results, project.results, dirs_exist_ok=True)
        for made in ("functionals", "baseline", "evaluate"):
            shutil.rmtree(project.results / "labelled" / made)
        shutil.rmtree(project.results / "tables")
        yield project
    finally:
        subprocess.run(["umount", str(project.results)], check=True)


def says_one_line(run: Run, *words: str) -> None:
    """Check that a run failed with a line that has all these words, and shows no code."""
    assert run.status != 0
    assert any(all(word in line for word in words) for line in run.text.splitlines()), run.text
    assert "Traceback" not in run.text, run.text


@pytest.mark.workflow
def test_a_read_only_folder_and_a_full_disk_are_one_line_each_and_the_run_goes_on_after(
    unfinished: Project, finished: Project
) -> None:
    before = unfinished.artefacts()
    assert mount("-o", "remount,ro", str(unfinished.results))
    run = unfinished.snakemake(check=False)
    says_one_line(run, "results: cannot be written to", "make the folder writable, or set `results`")
    assert "FAILED" not in run.text, "it is said before any job starts"
    assert mount("-o", "remount,rw", str(unfinished.results))
    filler = unfinished.results / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(unfinished.results).free - FREE_BYTES))
    run = unfinished.snakemake(check=False)
    says_one_line(run, "avpretext: error:", "the disk is full; free some space", "run the same command again")
    filler.unlink()
    assert before.items() <= unfinished.artefacts().items(), "what was finished is kept"
    assert not list(unfinished.results.rglob("*.tmp")), "and half-written files are not"
    unfinished.snakemake()
    assert unfinished.artefacts() == finished.artefacts()

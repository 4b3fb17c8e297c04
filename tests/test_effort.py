"""The choice of quick tests: what it names is there, and tests that start Snakemake are never among them."""

from pathlib import Path

from tests import effort

REPOSITORY = Path(__file__).resolve().parents[1]


def test_slow_files_are_there() -> None:
    assert [name for name in effort.SLOW_S if not (REPOSITORY / effort.TESTS / name).is_file()] == []


def test_slow_files_and_those_that_start_snakemake_are_not_quick() -> None:
    assert effort.is_quick("tests/test_effort.py")
    assert effort.is_quick("src/avpretext/names.py")
    assert not effort.is_quick("tests/docs/test_site.py")
    assert not effort.is_quick("tests/workflow/test_rerun.py")


def test_more_processes_than_cores_are_no_faster() -> None:
    nodeids = ["tests/workflow/test_rerun.py::test_it"] * 100
    said = {effort.announced(nodeids, processes) for processes in (effort.cores(), 10 * effort.cores())}
    assert len(said) == 1

"""A search runs the workflow on changed configurations, shares what fits, and goes on where it was."""

from pathlib import Path

import polars as pl
import pytest

from avpretext.errors import UserError
from avpretext.search import tuning
from tests.workflow.project import Project

pytestmark = pytest.mark.workflow


def test_a_search_trains_alone_and_is_resumed(sounds: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna", reason="Optuna is not installed")
    project = sounds.copy(tmp_path / "copy")
    project.arguments()  # writes the configuration
    (project.folder / "space.yaml").write_text("finetune.epochs: [2, 3]\n")
    monkeypatch.chdir(project.folder)
    before = project.artefacts()
    given = (Path("config.yaml"), Path("space.yaml"))
    folder = tuning.run(*given, trials=1, minutes=0, start="scratch", measure="uar", cores=2)
    assert pl.read_csv(folder / "trials.csv")["trial"].to_list() == [0], "the minutes are used up"
    tuning.run(*given, trials=1, minutes=9, start="scratch", measure="uar", cores=2)
    trials = pl.read_csv(folder / "trials.csv")
    assert trials["trial"].to_list() == [0, 1]
    assert trials["finetune.epochs"][1] in (2, 3)
    assert {"untuned", "flat", "nested"} == set(pl.read_csv(folder / "test.csv")["choice"])
    jobs = sorted(path.name for path in (folder / "trial_001" / "logs").rglob("*") if path.is_dir())
    assert "finetune" in jobs
    assert not {"split", "speech", "folds", "targets", "pretrain"} & set(jobs)
    assert {name: content for name, content in project.artefacts().items() if "search" not in name} == before
    (project.folder / "space.yaml").write_text("finetune.epochs: [4]\n")
    with pytest.raises(UserError, match="a search of another configuration, space, initialisation or measure"):
        tuning.run(*given, trials=1, minutes=0, start="scratch", measure="uar", cores=2)

"""Ways to deploy software that no rule asks for: the jobs run as without."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.workflow.project import Project


@pytest.mark.workflow
@pytest.mark.parametrize("method", ["env-modules", "apptainer"])
def test_jobs_find_their_python(tmp_path: Path, method: str) -> None:
    (tmp_path / "corpus").mkdir()
    soundfile.write(tmp_path / "corpus" / "a.wav", np.sin(np.arange(16_000) / 9), 16_000)
    mine = {"path": "corpus", "use": ["pretrain"], "video": False, "shards": 1}
    project = Project(tmp_path, {"results": "results", "corpora": {"mine": mine}}, warm=False)
    project.snakemake("results/mine/index/0000.parquet", "--software-deployment-method", method)
    assert (tmp_path / "results/mine/index/0000.parquet").exists()

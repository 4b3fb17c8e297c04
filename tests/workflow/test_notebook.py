"""The notebook runs on a finished run, and is committed without outputs."""

from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.workflow.project import Project

NOTEBOOK = nbformat.read(Path(__file__).resolve().parents[2] / "examples" / "first_look.ipynb", as_version=4)
CODE = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code"]


def test_the_notebook_is_committed_without_outputs() -> None:
    assert all(cell.outputs == [] and cell.execution_count is None for cell in CODE)


@pytest.mark.workflow
def test_the_notebook_runs(finished: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient", reason="nbclient is absent: pip install nbclient ipykernel")
    pytest.importorskip("ipykernel", reason="ipykernel is absent: pip install nbclient ipykernel")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    place = {"metadata": {"path": str(finished.folder)}}
    done = nbclient.NotebookClient(NOTEBOOK.copy(), timeout=120, kernel_name="python3", resources=place).execute()
    outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    assert "['unlabelled', 'labelled']" in text(outputs)
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2, "labels along a clip; the prediction"
    assert "'HAP': " in text(outputs), "probabilities by name"


def text(outputs: list[Any]) -> str:
    return "\n".join(output.get("data", {}).get("text/plain", "") for output in outputs)

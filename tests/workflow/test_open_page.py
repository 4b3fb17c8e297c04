"""The examples of docs/open.md run on a finished run."""

import re
from pathlib import Path

import polars as pl
import pytest

from tests.workflow.project import Project

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "open.md").read_text("utf-8")


@pytest.mark.workflow
def test_the_examples_of_the_page_run(finished: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.folder)
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, names)
    clips, clip, speech = names["clips"], names["clip"], names["speech"]
    assert isinstance(clips, pl.DataFrame)
    samples, rate_hz = clip.audio()  # type: ignore[attr-defined]
    assert len(samples) / rate_hz == pytest.approx(clips["duration_s"][0], abs=1e-3)
    assert len(speech) == pytest.approx(100 * clips["duration_s"][0], abs=2)  # type: ignore[arg-type]

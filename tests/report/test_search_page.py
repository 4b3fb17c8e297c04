"""The report's section on a search of hyper-parameters."""

import shutil
from pathlib import Path

import pytest
from tests.report.test_page import outline

from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.evaluation import formats
from avpretext.evaluation.open_run import OpenRun
from avpretext.report import page, search_page

NAMED = {"corpus": "demo_acted", "setting": "acted.speaker_kfold", "initialisation": "scratch"}
TRIALS = [
    {**NAMED, "trial": 0, "measure": "macro_f1", "dev": 0.5},
    {**NAMED, "trial": 1, "measure": "macro_f1", "dev": 0.6, "finetune.learning_rate": 0.001, "model.width": 32},
    {**NAMED, "trial": 2, "measure": "macro_f1", "dev": 0.55, "finetune.learning_rate": 0.01, "model.width": 64},
]
CHOSEN = [{**NAMED, "fold": fold, "trial": trial, "dev": 0.7} for fold, trial in enumerate((1, 1, 2, 1))]
TAKEN = {"untuned": "0", "flat": "1", "nested": "1 1 2 1"}
TEST = [
    {**NAMED, "choice": choice, "trials": taken, "chosen_by": "macro_f1", "measure": measure, "value": value,
     "ci_low": value - 0.1, "ci_high": value + 0.1, "speakers": 8, "clips": 96}
    for (choice, taken), value in zip(TAKEN.items(), (0.5, 0.62, 0.58), strict=True)
    for measure in ("macro_f1", "uar")
]  # fmt: skip


@pytest.fixture
def searched(results: Config, tmp_path: Path) -> Config:
    """The finished run, searched."""
    shutil.copytree(results.results, tmp_path / "results")
    write(tmp_path / "results/search")
    return parse(results.model_dump(mode="json", exclude_unset=True) | {"results": str(tmp_path / "results")})


def write(folder: Path) -> None:
    """Write the tables of a search."""
    for name, rows in (("trials", TRIALS), ("chosen", CHOSEN), ("test", TEST)):
        columns = list(dict.fromkeys(column for row in rows for column in row))
        formats.write_csv(folder / f"{name}.csv", columns, rows, places=6)


@pytest.mark.usefixtures("plain_charts")
def test_choices_come_with_their_test_scores_and_trials_with_the_folds_that_take_them(searched: Config) -> None:
    (found,) = search_page.found_search(OpenRun(searched))
    assert found["heading"] == "demo_acted, target acted, protocol speaker_kfold"
    assert [(name, taken, score) for name, _, taken, score, _ in found["choices"]] == [
        ("nested", "1 1 2 1", "0.580 [0.480, 0.680]"),
        ("flat", "1", "0.620 [0.520, 0.720]"),
        ("untuned", "0", "0.500 [0.400, 0.600]"),
    ]
    assert found["keys"] == ["finetune.learning_rate", "model.width"]
    assert found["rows"] == [
        ("1", "0.600", "0, 1, 3", ["0.001", "32"]),
        ("2", "0.550", "2", ["0.01", "64"]),
        ("0", "0.500", "", ["as it is", "as it is"]),
    ]


@pytest.mark.usefixtures("plain_charts")
def test_the_report_shows_a_search_and_tells_which_score_counts(searched: Config) -> None:
    html = page.render(searched)
    outline(html)
    section = html[html.index('id="search"') : html.index('id="data"')]
    assert "Report this score." in section
    assert "do not cover the draw of the trials" in section
    assert 'href="#search"' in html
    assert page.render(searched) == html


@pytest.mark.usefixtures("plain_charts")
@pytest.mark.parametrize("lacking", ["trials", "chosen", "test"])
def test_without_all_its_tables_there_is_no_search(searched: Config, lacking: str) -> None:
    (Path(searched.results) / f"search/{lacking}.csv").unlink()
    assert search_page.found_search(OpenRun(searched)) == []


@pytest.mark.usefixtures("plain_charts")
def test_a_setting_that_the_run_has_no_longer_is_left_out(searched: Config) -> None:
    file = Path(searched.results) / "search/trials.csv"
    file.write_text(file.read_text().replace("acted.speaker_kfold", "gone.speaker_kfold"))
    assert search_page.found_search(OpenRun(searched)) == []

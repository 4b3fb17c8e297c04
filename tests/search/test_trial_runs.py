"""The results of a trial begin with the files of the results; neither changes the other."""

from pathlib import Path

from avpretext.config_file import parse
from avpretext.evaluation.formats import write_text
from avpretext.search.trial_runs import link, targets

CONFIG = parse({"corpora": {"mine": {"path": ".", "reader": "folder", "use": ["finetune"]}}, "results": "r"})


def test_corpora_and_pretrainings_are_shared_and_nothing_else(tmp_path: Path) -> None:
    names = ["mine/speech/0000.parquet", "mine@1.1/speech/0.parquet", "pretrain/mean/energy/.history.parquet.made"]
    others = [
        "tables/main.csv",
        "search/trial_000/mine/speech/0000.parquet",
        ".avpretext/lock",
        "gone/speech/0.parquet",
    ]
    for name in [*names, *others]:
        write_text(tmp_path / "r" / name, "main")
    trial = tmp_path / "r/search/trial_001"
    write_text(trial / names[0], "own")
    link(tmp_path / "r", trial, CONFIG)
    assert sorted(str(file.relative_to(trial)) for file in trial.rglob("*") if file.is_file()) == sorted(names)
    assert (trial / names[0]).read_text() == "own"
    write_text(trial / names[2], "made again")
    assert (tmp_path / "r" / names[2]).read_text() == "main"


def test_a_trial_makes_the_predictions_of_each_setting() -> None:
    found = targets(parse({"corpora": {"mine": {"path": ".", "reader": "crema_d", "use": ["finetune"]}}}), "scratch")
    assert [key[0] for key in found] == ["mine"]
    assert all(path.name == "predictions.parquet" and path.parent.name == "scratch" for path in found.values())

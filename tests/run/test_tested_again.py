"""Corpora with `of`: the clips of another corpus, learnt or tested again."""

from pathlib import Path
from typing import Any

import pytest

from avpretext.config import Config
from avpretext.config_file import document, parse
from avpretext.errors import UserError
from avpretext.run.plan import Plan


def content(**own: Any) -> dict[str, Any]:
    ravdess = {"path": "data/r", "reader": "ravdess", "use": ["pretrain", "finetune"], "video": False, "shards": 3}
    urdu = {"path": "data/u", "reader": "urdu", "use": ["finetune"], "video": False}
    again = {"of": "ravdess", "label_map": "four", "protocol": {"name": "cross_corpus", "train": ["urdu"]}, **own}
    return {
        "corpora": {"ravdess": ravdess, "urdu": urdu, "again": again},
        "finetune": {"speeds": [1.1]},
        "export": {"initialisations": []},
    }


@pytest.fixture
def config() -> Config:
    return parse(content())


def test_the_clips_are_made_once(config: Config) -> None:
    plan = Plan(config)
    assert plan.shards("again", "speech") == plan.shards("ravdess", "speech")
    assert plan.shards("again@1.1", "speech") == plan.shards("ravdess@1.1", "speech")
    assert not [file for file in plan.files if "/again/speech/" in file or "/again/split/" in file or "again@" in file]
    assert len(plan.files) == len(set(plan.files))


def test_labels_folds_and_scores_are_its_own(config: Config) -> None:
    plan = Plan(config)
    own = {
        file.removeprefix("results/again/").split("/")[0] for file in plan.files if file.startswith("results/again/")
    }
    assert own == {"targets", "folds", "baseline", "finetune", "evaluate", "trust"}
    assert "acted-four.cross_corpus" in plan.settings["again"]
    assert plan.features(["again"])["again.speech"] == plan.shards("ravdess", "speech")


def test_its_options_are_those_of_whose_clips_it_has(config: Config) -> None:
    ravdess, again = config.corpora["ravdess"], config.corpora["again"]
    assert (again.path, again.reader, again.shards, again.video) == (ravdess.path, "ravdess", 3, False)
    assert (again.use, again.label_map, ravdess.label_map) == (["finetune"], "four", None)
    assert config.with_clips() == ["ravdess", "urdu"]
    assert config.heard_in_pretraining() == ["ravdess"]


def test_the_full_file_of_a_configuration_is_read_again(config: Config, tmp_path: Path) -> None:
    import yaml

    assert parse(yaml.safe_load(document(config))) == config


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (
            {"of": "ravdes"},
            "'ravdes' is no corpus with clips of its own; these are ravdess, urdu; did you mean 'ravdess'?",
        ),
        ({"of": "again"}, "'again' is no corpus with clips of its own"),
        ({"reader": "urdu"}, "corpora.again.reader: its clips are those of ravdess: set it there"),
        ({"shards": 4}, "corpora.again.shards: its clips are those of ravdess"),
        ({"use": ["pretrain"]}, "corpora.again.use: pretrain: its clips are pre-trained on as those of ravdess"),
        ({"shard": 4}, "unknown key 'corpora.again.shard'"),
        ({"of": ["ravdess"]}, "corpora.again.of = ['ravdess']: Input should be a valid string"),
        ({"use": None}, "corpora.again.use = None: Input should be a valid list"),
    ],
)
def test_wrong_options_are_told(own: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as error:
        parse(content(**own))
    assert said in str(error.value)
    assert "\n" not in str(error.value)

"""Stages: a signature changes with the options that shape the stage, and with no other."""

from dataclasses import replace
from typing import Any

import pytest

from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.stages import STAGES, parse_signature, signature


def with_options(**content: Any) -> Config:
    return parse({"corpora": {"mine": {"path": "p", "use": ["pretrain"]}}, **content})


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        ({"labels": {"emotion": {"min_score": 0.5}}}, {"labels_emotion"}),
        ({"split": {"fps": 30}}, {"split", "watch", "export"}),
        ({"split": {"height": 240}}, {"split", "watch"}),
        ({"split": {"keep_frames": True}}, set()),
        ({"results": "elsewhere"}, set()),
        (
            {"chunks": {"count": 7}},
            {"labels_energy", "labels_activation", "pretrain", "finetune", "export", "deepemocluster"},
        ),
        ({"pretrain": {"task_sets": [["energy"]]}}, set()),
        ({"model": {"features": ["log_mel"]}}, {"pretrain", "finetune", "export"}),
        ({"export": {"networks": 2}}, {"export"}),
        ({"finetune": {"seeds": 2}}, {"finetune"}),
        ({"ablation": {"losses": ["base"]}}, set()),
        ({"evaluate": {"bootstrap": 10}}, {"evaluate"}),
    ],
)
def test_an_option_touches_the_stages_that_read_it(change: dict[str, Any], touched: set[str]) -> None:
    before, after = with_options(), with_options(**change)
    changed = {stage for stage in STAGES if signature(stage, before, "mine") != signature(stage, after, "mine")}
    assert changed == touched


def test_what_a_corpus_is_used_for_does_not_index_it_again() -> None:
    pretrained = parse({"corpora": {"mine": {"path": "p", "use": ["pretrain"]}}})
    both = parse({"corpora": {"mine": {"path": "p", "use": ["pretrain", "finetune"], "synthetic": True}}})
    assert signature("index", pretrained, "mine") == signature("index", both, "mine")


@pytest.mark.parametrize("stage", STAGES)
def test_a_signature_is_read_back_as_the_same_options(stage: str) -> None:
    config = with_options(seed=9, labels={"energy": {"quantile": 0.3}}, split={"fps": 30})
    read = parse_signature(signature(stage, config, "mine"))
    assert signature(stage, read, "mine") == signature(stage, config, "mine")


def test_a_protocol_across_corpora_is_read_back() -> None:
    others = {"path": "q", "use": []}
    across = {"path": "p", "use": ["finetune"], "protocol": {"name": "cross_corpus", "train": ["other"]}}
    config = parse({"corpora": {"mine": across, "other": others}})
    assert parse_signature(signature("folds", config, "mine")).learnt_from("mine") == ["mine", "other"]


def test_a_raised_version_changes_the_signature_of_its_stage_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    config = with_options()
    before = {stage: signature(stage, config, "mine") for stage in STAGES}
    raised = replace(STAGES["motion"], version=STAGES["motion"].version + 1)
    monkeypatch.setitem(STAGES, "motion", raised)
    assert [stage for stage in STAGES if signature(stage, config, "mine") != before[stage]] == ["motion"]


def test_a_raised_version_changes_the_stages_that_do_its_work_too(monkeypatch: pytest.MonkeyPatch) -> None:
    config = with_options()
    before = {stage: signature(stage, config, "mine") for stage in STAGES}
    monkeypatch.setitem(STAGES, "landmarks", replace(STAGES["landmarks"], version=99))
    changed = [stage for stage in STAGES if signature(stage, config, "mine") != before[stage]]
    assert sorted(changed) == ["landmarks", "watch"]

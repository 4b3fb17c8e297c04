"""Signatures: one changes with the options that shape the stage, and with no other."""

import json
from dataclasses import replace
from typing import Any

import pytest

from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.flow.artefacts import STAGES
from avpretext.options.base import places
from avpretext.run.signature import PLACES, WHOLE, parse_signature, signature

PARTIAL = [name for name, stage in STAGES.items() if stage.options != WHOLE]
"""Stages that read a part of the configuration; the others show what all made."""


def with_options(**content: Any) -> Config:
    return parse({"corpora": {"mine": {"path": "p", "use": ["pretrain"]}}, **content})


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        ({"labels": {"emotion": {"min_confidence": 0.5}}}, {"labels_emotion"}),
        ({"split": {"fps": 30}}, {"split", "watch", "export", "orofacial_system"}),
        ({"split": {"height": 240}}, {"split", "watch"}),
        ({"split": {"keep_frames": True}}, set()),
        ({"orofacial": {"epochs": 3}}, {"orofacial_system"}),
        ({"orofacial": {"films": 3, "threads": 2}}, set()),
        ({"results": "elsewhere"}, set()),
        (
            {"chunks": {"count": 7}},
            {"encoder", "labels_energy", "labels_activation", "pretrain", "finetune", "export", "deepemocluster"},
        ),
        ({"encoders": {"wavlm": {"pool": "clip"}}}, {"encoder"}),
        ({"pretrain": {"task_sets": [["energy"]]}}, set()),
        ({"model": {"features": ["log_mel"]}}, {"pretrain", "finetune", "export"}),
        ({"export": {"networks": 2}}, {"export"}),
        ({"finetune": {"seeds": 2}}, {"finetune"}),
        ({"ablation": {"losses": ["base"]}}, set()),
        ({"evaluate": {"bootstrap": 10}}, {"evaluate", "trust"}),
        ({"evaluate": {"conditions": ["noise10"]}}, {"evaluate", "trust"}),
        ({"finetune": {"threads": 8, "device": "cuda"}, "deepemocluster": {"device": "auto"}}, set()),
        ({"orofacial": {"threads": 4}}, set()),
        ({"tracking": ["tensorboard"]}, set()),
        ({"action_units": {"pyfeat": {"device": "cuda", "weights": "w", "python": "p"}}}, set()),
        ({"action_units": {"pyfeat": {"batch_size": 2}}}, {"action_units"}),
        ({"models": {"folder": "elsewhere"}, "split": {"ffmpeg": "/opt/ffmpeg"}}, set()),
    ],
)
def test_an_option_touches_the_stages_that_read_it(change: dict[str, Any], touched: set[str]) -> None:
    before, after = with_options(), with_options(**change)
    changed = {stage for stage in PARTIAL if signature(stage, before, "mine") != signature(stage, after, "mine")}
    assert changed == touched


def test_silence_touches_what_opens_files_and_options_at_their_defaults_are_in_no_signature() -> None:
    mine = {"path": "p", "use": ["pretrain"]}
    heard, mute = (parse({"corpora": {"mine": mine | more}}) for more in ({}, {"audio": False}))
    touched = {stage for stage in PARTIAL if signature(stage, heard, "mine") != signature(stage, mute, "mine")}
    assert touched == {"index", "segment", "split", "watch"}
    assert "audio" not in signature("watch", heard, "mine"), "what was made before there was the option stays good"
    assert "conditions" not in signature("trust", heard, "mine"), "here too"
    assert not parse_signature(signature("watch", mute, "mine")).corpora["mine"].audio


def test_what_a_corpus_is_used_for_does_not_index_it_again() -> None:
    pretrained = parse({"corpora": {"mine": {"path": "p", "use": ["pretrain"]}}})
    both = parse({"corpora": {"mine": {"path": "p", "use": ["pretrain", "finetune"], "synthetic": True}}})
    assert signature("index", pretrained, "mine") == signature("index", both, "mine")


@pytest.mark.parametrize("stage", STAGES)
def test_a_signature_is_read_back_as_the_same_options(stage: str) -> None:
    config = with_options(seed=9, labels={"energy": {"quantile": 0.3}}, split={"fps": 30})
    read = parse_signature(signature(stage, config, "mine"))
    assert signature(stage, read, "mine") == signature(stage, config, "mine")


def test_where_a_stage_runs_reaches_it_through_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    config = with_options(
        models={"folder": "my models"},
        finetune={"device": "cuda", "epochs": 5, "threads": 8},
        action_units={"pyfeat": {"weights": "w"}, "backend": "pyfeat"},
    )
    monkeypatch.setenv(PLACES, json.dumps(places(config)))
    assert parse_signature(signature("models", config)).models == config.models
    assert parse_signature(signature("action_units", config)).action_units == config.action_units
    tuned = parse_signature(signature("finetune", config)).finetune
    assert (tuned.device, tuned.epochs) == ("cuda", 5)
    assert tuned.threads == 1, "rules hand threads over by themselves, and no artefact tells of them"
    elsewhere = with_options(finetune={"epochs": 5}, action_units={"backend": "pyfeat"})
    assert signature("tables", config) == signature("tables", elsewhere)


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

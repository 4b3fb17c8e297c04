"""The plan of the upstreams: what each is trained with, and what is not trained twice."""

from typing import Any

import pytest

from avpretext.config import Variant
from avpretext.config_file import parse
from avpretext.errors import UserError
from avpretext.run import upstream_plan
from avpretext.run.plan import Plan
from avpretext.run.signature import signature
from avpretext.run.upstream_plan import UpstreamPlan

HEARD = {"path": "p", "reader": "ravdess", "use": ["pretrain", "finetune"], "video": False}
WAVLM = {"model": {"features": ["wavlm"]}}


def planned(upstreams: dict[str, Any] | None = None, **more: Any) -> UpstreamPlan:
    content = {"results": "r", "corpora": {"it": HEARD}, "encoders": {"wavlm": {}}, "upstreams": upstreams or {}}
    return UpstreamPlan(Plan(parse({**content, **more})))


def test_by_default_speech_and_each_pooled_encoder_are_compared() -> None:
    asked = planned(encoders={"wavlm": {}, "whisper": {"pool": "clip"}, "hubert": {"pool": "frames"}})
    assert {name: variant.name for name, variant in asked.variants.items()} == {
        "speech": "base.mean", "wavlm": "base.mean.wavlm", "whisper": "base.mean.whisper",
    }  # fmt: skip
    assert asked.starts("wavlm") == ["scratch", "energy", "clusters"]
    assert asked.starts("whisper") == ["scratch", "clusters"], "means of clips have no chunks to label"
    heard = {name: asked.of(variant).config.model for name, variant in asked.variants.items()}
    assert [heard[name].encoder for name in heard] == ["blstm", "layers", "layers"]


def test_an_upstream_has_trainings_and_pre_trainings_of_its_own() -> None:
    asked = planned({"lld": {}, "wavlm": WAVLM})
    assert asked.variants["lld"] == asked.plan.config.variant, "the main table's systems are not trained twice"
    variant = asked.variants["wavlm"]
    own = asked.of(variant)
    assert own.features(["it"]) == {"it.wavlm": ["r/it/encoder/wavlm/0000.parquet"]}
    assert own.start(variant, "energy")[0] == "r/pretrain/mean.wavlm/energy/0/checkpoint.safetensors"
    assert own.tuned("it", "acted.speaker_kfold", variant, ["energy"]) == [
        "r/it/finetune/acted.speaker_kfold/base.mean.wavlm/energy/predictions.parquet"
    ]
    assert asked.plan.start(asked.plan.config.variant, "energy")[0].startswith("r/pretrain/mean/energy/")


def test_upstreams_that_differ_in_fine_tuning_alone_start_from_the_same_pre_trainings() -> None:
    asked = planned(
        {"wavlm": WAVLM, "slow": {**WAVLM, "finetune": {"learning_rate": 1e-4}},
         "wide": {"model": {"features": ["wavlm"], "width": 8}}}
    )  # fmt: skip
    wavlm, slow, wide = (asked.variants[name] for name in ("wavlm", "slow", "wide"))
    assert (wavlm.network, slow.network, wide.network) == ("mean.wavlm", "mean.wavlm", "mean.wide")
    assert slow.name == "base.mean.slow"
    assert asked.of(slow).config.finetune.learning_rate == 1e-4
    named = planned({"own": {"finetune": {"checkpoints": {"mine": "a.safetensors"}}}})
    own = named.variants["own"]
    assert (own.name, own.network) == ("base.mean.own", "mean"), "its own checkpoints are not those of the main table"
    assert named.of(own).start(own, "mine") == ["a.safetensors"]
    assert "mine" in named.initialisations()


@pytest.mark.parametrize(
    "upstreams",
    [
        {"wavlm": WAVLM, "same": WAVLM},
        {"wavlm": {}, "same": {"model": {"width": 64}}},
        {"wavlm": {}, "same": {"pretrain": {"task_sets": [["energy"]]}}},
    ],
)
def test_upstreams_that_are_trained_alike_are_refused(upstreams: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"upstreams\.same: trained as upstreams\.wavlm is.*; give it other options"):
        planned(upstreams)


def test_upstreams_that_differ_in_pre_training_alone_are_the_same_from_scratch() -> None:
    more, wide = {"pretrain": {"clusters": {"count": 3}}}, {"model": {"width": 8}}
    asked = planned({"wide": wide, "more": {**wide, **more}, "main": more}, encoders={})
    trained = {system: variant.name for system, variant in asked.systems().items()}
    assert trained["more", "scratch"] == trained["wide", "scratch"] == "base.mean.wide"
    assert trained["more", "clusters"] == "base.mean.more"
    assert trained["main", "scratch"] == "base.mean", "the main table's, which is not compared itself"
    tuned = [file for file in asked.predictions() if "/finetune/" in file]
    assert len(tuned) == len(set(tuned)) == len(trained) - 1


def test_a_group_within_a_group_is_changed_where_it_is_named() -> None:
    asked = planned({"own": {"pretrain": {"clusters": {"count": 3}}}}, pretrain={"clusters": {"iterations": 7}})
    options = asked.of(asked.variants["own"]).config.pretrain.clusters
    assert (options.count, options.iterations) == (3, 7)


def test_the_main_table_is_signed_as_it_is_without_upstreams() -> None:
    with_them, without = planned({"lld": {}, "wavlm": WAVLM}), planned(encoders={})
    for stage in ("pretrain", "finetune"):
        signed = {signature(stage, one.plan.config.as_variant(one.plan.config.variant)) for one in (with_them, without)}
        assert len(signed) == 1
    assert with_them.plan.files == without.plan.files


def test_encoder_and_channels_follow_the_features_unless_they_are_named() -> None:
    main = {"model": {"features": ["wavlm"], "encoder": "layers"}}
    asked = planned({"lld": {"model": {"features": ["speech"]}}, "conv": {"model": {"features": ["speech"],
                    "encoder": "conv"}}, "wavlm": {}}, **main)  # fmt: skip
    assert [asked.of(variant).config.model.encoder for variant in asked.variants.values()] == [
        "blstm", "conv", "layers",
    ]  # fmt: skip
    mel = {"model": {"features": ["log_mel"]}}
    own = planned({"lld": {}, "wavlm": WAVLM, "mel": mel}, model={"encoder": "conv", "channels": ["F0*"]})
    chosen = [own.of(variant).config.model for variant in own.variants.values()]
    assert [(one.encoder, one.channels) for one in chosen] == [("conv", ["F0*"]), ("layers", ["*"]), ("conv", ["*"])]


def test_wildcards_are_all_that_any_upstream_has() -> None:
    asked = planned(
        {"lld": {"pretrain": {"task_sets": [["energy", "clusters"]]}}, "fast": {"finetune": {"speeds": [2]}}}
    )
    assert asked.task_sets() == ["energy", "clusters", "energy-clusters"]
    assert asked.speeds() == ["2"]
    assert asked.plan.speeds() == []


@pytest.mark.parametrize(
    ("upstream", "message"),
    [
        ({"model": {"featurs": ["speech"]}}, r"upstreams\.own: unknown key 'model\.featurs'; did you mean 'features'"),
        ({"modl": {}}, r"unknown key 'upstreams\.own\.modl'; did you mean 'model'"),
        ({"model": {"features": ["wavml"]}}, r"upstreams\.own: model\.features: 'wavml' .*did you mean 'wavlm'"),
        ({"model": {"features": 3}}, r"upstreams\.own: model\.features = 3: Input should be a valid list"),
        ({"model": {"features": ["wavlm", "speech"]}}, r"upstreams\.own: model\.features: 'wavlm' .*stands alone"),
        ({"pretrain": {"clusters": {"count": 1}}}, r"upstreams\.own: pretrain\.clusters\.count = 1"),
        (
            {"finetune": {"seeds": 2}},
            r"upstreams\.own: finetune\.seeds must be the same for all upstreams: set it in finetune itself",
        ),
        ({"finetune": {"device": "cuda"}}, r"upstreams\.own: finetune\.device must be the same.*set it in finet"),
        ({"finetune": {"loss": "penalty"}}, r"upstreams\.own: finetune\.loss: penalty needs raters' votes"),
    ],
)
def test_options_that_cannot_be_name_the_upstream(upstream: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        planned({"own": upstream})


def test_nothing_to_compare_stops_the_target_alone() -> None:
    asked = planned(encoders={})
    assert asked.variants == {}
    with pytest.raises(UserError, match="nothing to compare: name a pre-trained encoder"):
        asked.predictions()
    with pytest.raises(UserError, match=r"upstreams\.a\.b: a name has letters"):
        planned({"a.b": {}})


def test_default_upstreams_that_cannot_be_leave_other_targets_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise UserError("upstreams.speech: of no use")

    monkeypatch.setattr(upstream_plan, "as_upstream", refuse)
    asked = planned()
    assert (asked.variants, asked.initialisations()) == ({}, ["scratch", "energy", "clusters"])
    with pytest.raises(UserError, match=r"upstreams\.speech: of no use"):
        asked.predictions()
    with pytest.raises(UserError, match=r"upstreams\.speech: of no use"):
        planned({"wavlm": WAVLM})


def test_a_variant_is_named_by_its_upstream() -> None:
    assert Variant("base", "mean").name == "base.mean"
    assert Variant("base", "mean", "wavlm", "").network == "mean"

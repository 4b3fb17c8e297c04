"""The configuration: one description, in step with the file and the schema; mistakes are named with their fix."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from avpretext import config_file
from avpretext.config import Config, PenaltyOptions, Variant, json_schema
from avpretext.errors import UserError
from avpretext.options.base import places, settled
from avpretext.run.signature import PLACES, options_of, parse_signature, signature

REPOSITORY = Path(__file__).resolve().parents[1]
CORPUS = {"path": ".", "use": ["pretrain", "finetune"]}
MUTE = {"path": ".", "use": ["pretrain"], "audio": False}
EXAMPLES = sorted(REPOSITORY.rglob("examples/**/*.yaml"))


def parsed(**content: Any) -> Config:
    return config_file.parse({"corpora": {"mine": CORPUS}, **content})


def heard(features: list[str], pool: str = "chunks", **model: Any) -> dict[str, Any]:
    """Return options of a model that hears features, among them perhaps those of an encoder."""
    return {"encoders": {"wavlm": {"pool": pool}}, "model": {"features": features, **model}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"sead": 1}, "unknown key 'sead'; did you mean 'seed'"),
        ({"model": {"whole_corpora": ["mine"]}}, "model.whole_corpora needs model.normalise: speaker"),
        (
            {"model": {"normalise": "speaker", "whole_corpora": ["mime"]}},
            "model.whole_corpora: 'mime' is none of mine; did you mean 'mine'",
        ),
        (
            {
                "corpora": {"mine": CORPUS, "again": {"of": "mine", "use": []}},
                "model": {"normalise": "speaker", "whole_corpora": ["mine"]},
            },
            "model.whole_corpora: name also again, whose clips are the same",
        ),
        ({"labels": {"energy": {"quantille": 0.3}}}, "unknown key 'labels.energy.quantille'; did you mean 'quantile'"),
        ({"split": {"fps": "fast"}}, "split.fps = 'fast'"),
        ({"labels": {"energy": {"quantile": 3}}}, "labels.energy.quantile = 3"),
        ({"corpora": {"mine": {"path": "."}}}, "'corpora.mine.use' is missing"),
        ({"corpora": {"mine": {**CORPUS, "reeder": "x"}}}, "did you mean 'reader'"),
        ({"corpora": {}}, "at least one corpus"),
        (
            {"corpora": {"mine": {**CORPUS, "video": False}}, "pretrain": {"task_sets": [["emotion"]]}},
            "emotion needs a corpus with `use: [pretrain]`, video and sound",
        ),
        ({"corpora": {"tables": CORPUS}}, "corpora.tables"),
        ({"corpora": {"mine": {**CORPUS, "protocol": {"name": "cross_corpus"}}}}, "cross_corpus needs `train`"),
        ({"corpora": {"mine": {**CORPUS, "protocol": {"train": ["mine"]}}}}, "is for the protocol cross_corpus alone"),
        (
            {"corpora": {"mine": {**CORPUS, "protocol": {"name": "cross_corpus", "train": ["mnie"]}}, "mine2": CORPUS}},
            "'mnie' is no other corpus of the configuration; did you mean 'mine2'",
        ),
        ({"pretrain": {"min_confidence": {"emotions": 0.5}}}, "'emotions' is none of energy, activation, emotion"),
        ({"pretrain": {"min_confidence": {"clusters": 0.5}}}, "'clusters' is none of energy, activation, emotion"),
        ({"pretrain": {"min_confidence": {"emotion": 5}}}, "pretrain.min_confidence.emotion = 5"),
        ({"export": {"initialisations": ["besst"]}}, "'besst' is none of best, scratch, energy"),
        ({"finetune": {"checkpoints": {"best": "a.safetensors"}}}, "is not that of another system"),
        ({"segment": {"min_s": 6, "max_s": 10}}, "segment.max_s = 10: at least twice min_s = 6"),
        ({"corpora": {"../up": CORPUS}}, "letters, digits"),
        ({"encoders": {"wavlm": {"foldr": "x"}}}, "unknown key 'encoders.wavlm.foldr'; did you mean 'folder'"),
        ({"encoders": {"wavlm": {"layers": [1, 0, 1]}}}, "encoders.wavlm.layers: layer 1 is named twice"),
        ({"encoders": {"speech": {}}}, "encoders.speech: a name has letters, digits, - and _"),
        ({"encoders": {"-x": {}}}, "encoders.-x: a name has letters, digits, - and _, starts with no -"),
        ({"encoders": {"wavlm_rbf": {}}}, "does not end in _rbf or _speaker"),
        (heard(["wavlm", "speech"]), "'wavlm' has one vector per chunk and layer, and stands alone"),
        (heard(["wavlm"], encoder="conv"), "'conv' does not fit model.features: ['wavlm']: set layers, or leave it"),
        (heard(["speech"], encoder="layers"), "'layers' does not fit model.features: ['speech']: set blstm"),
        (heard(["wavlm"], channels=["mfcc*"]), "all numbers of 'wavlm' are learnt from: ['*']"),
        (heard(["wavlm"], pool="clip"), "encoders.wavlm.pool: clip has no chunks, and the pretext task activation"),
        (
            {**heard(["wavlm"], pool="clip", aggregator="attentive_statistics"), "pretrain": {"task_sets": []}},
            "attentive_statistics: encoders.wavlm.pool: clip gives one vector per clip, whose deviation is always 0",
        ),
        (
            {"chunks": {"count": 1}, "model": {"aggregator": "attentive_statistics"}},
            "attentive_statistics: chunks.count: 1 gives one vector per clip",
        ),
        ({**heard(["speech"], pool="frames"), "baseline": {"vectors": ["wavlm"]}}, "set pool: chunks or clip"),
        (
            {**heard(["speech"]), "baseline": {"vectors": ["wavml"]}},
            "'wavml' is none of functionals, statistics, wavlm",
        ),
        ({**heard(["speech"]), "orofacial": {"features": ["wavlm"]}}, "set encoders.wavlm.pool: frames"),
        (
            {"corpora": {"mute": {**CORPUS, "audio": False, "video": False}}},
            "corpora.mute: audio: false and video: false leave nothing to read",
        ),
        (
            {"corpora": {"mute": {"path": ".", "use": ["finetune"], "audio": False}}},
            "corpora.mute: audio: false: fine-tuning learns from speech: set use: [pretrain]",
        ),
        (
            {"corpora": {"mute": MUTE, "heard": {"path": ".", "use": ["finetune"]}}},
            "no corpus of `use: [pretrain]` has sound (corpora.mute.audio: false): add one with sound, or set"
            " pretrain.task_sets: []",
        ),
        ({"corpora": {"mute": MUTE}, "pretrain": {"task_sets": [["emotion"]]}}, "pre-training learns from speech"),
        ({"corpora": {"mute": {**MUTE, "segment": True}}}, "set segment.by: windows, or audio: true"),
        (
            {"corpora": {"mute": MUTE, "mine": CORPUS}, "orofacial": {"corpora": ["mute"]}},
            "orofacial.corpora: mute: speech moves the faces, and it has audio: false",
        ),
        (
            {"corpora": {"mute": MUTE, "mine": {**CORPUS, "protocol": {"name": "cross_corpus", "train": ["mute"]}}}},
            "corpora.mine.protocol.train: mute has audio: false",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_its_fix(content: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        config_file.parse({"corpora": {"mine": CORPUS}, **content})
    assert message in str(error.value)


def test_a_file_that_is_missing_or_no_yaml_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file; expected a configuration"):
        config_file.load(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1")
    with pytest.raises(UserError, match="not YAML"):
        config_file.load(tmp_path / "bad.yaml")


def test_every_option_has_a_description() -> None:
    text = config_file.document(parsed())
    assert "# None" not in text
    assert config_file.parse(yaml.safe_load(text)) == parsed()


def test_the_schema_file_is_the_one_generated_from_the_package() -> None:
    file = REPOSITORY / "workflow" / "schemas" / "config.schema.json"
    assert json.loads(file.read_text()) == json_schema(), "run: avpretext schema > " + str(file)


@pytest.mark.parametrize("key", ["task_sets", "task_weights", "hidden_from", "min_confidence"])
def test_an_editor_with_the_schema_sees_that_a_task_is_misspelt(key: str) -> None:
    def valid(task: str) -> bool:
        value = {"task_sets": [[task]], "task_weights": {task: 1}, "hidden_from": [task], "min_confidence": {task: 1}}[
            key
        ]
        return checker.is_valid({"corpora": {"mine": CORPUS}, "pretrain": {key: value}})

    checker = jsonschema.Draft202012Validator(json_schema())
    assert valid("energy")
    assert not valid("enrgy")


@pytest.mark.parametrize(
    "file", [REPOSITORY / "config.yaml", *EXAMPLES], ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_the_configurations_that_ship_are_valid(file: Path) -> None:
    config_file.load(file)
    schema = json.loads((REPOSITORY / "workflow" / "schemas" / "config.schema.json").read_text())
    jsonschema.validate(yaml.safe_load(file.read_text()), schema)


def test_models_that_hear_pooled_features_mix_their_layers() -> None:
    assert parsed(**heard(["wavlm"])).model.encoder == "layers"
    assert parsed(**heard(["wavlm"], encoder="layers")).model.encoder == "layers"
    assert parsed(**heard(["speech", "wavlm"], pool="frames")).model.encoder == "blstm"
    assert parsed(encoders={"wavlm": {}}).model.encoder == "blstm"


LORA = {"finetune": {"encoder": {"tune": "lora"}}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (heard(["speech"]), "model.features: ['speech'] is no pre-trained encoder: name one of encoders there, alone"),
        (heard(["speech", "wavlm"], pool="frames"), "model.features: ['speech', 'wavlm'] is no pre-trained encoder"),
        (heard(["wavlm"], pool="frames"), "encoders.wavlm.pool: frames: set pool: chunks or clip, or tune: frozen"),
        (heard(["wavlm"], normalise="speaker"), "model.normalise: speaker: an encoder that learns has no fixed mean"),
    ],
)
def test_an_encoder_that_learns_is_heard_alone(content: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        parsed(**content, **LORA)


@pytest.mark.parametrize("shared", ["processes", "machines"])
def test_runs_in_parallel_or_processes_of_one(shared: str) -> None:
    both = {"finetune": {"threads": 2, "encoder": {"tune": "lora", shared: 2}}}
    with pytest.raises(UserError, match=rf"finetune.encoder.{shared}: 2 share one run, and finetune.threads: 2 runs"):
        parsed(**heard(["wavlm"]), **both)


def test_a_frozen_encoder_leaves_the_options_as_they_were() -> None:
    """Results made before an encoder could learn have the same recipe."""
    frozen = parsed(finetune={"encoder": {"tune": "frozen", "rank": 3, "processes": 2}})
    assert "encoder" not in frozen.finetune.model_dump()
    assert "encoder" not in settled(frozen)["pretrain"]
    assert settled(parsed(**heard(["wavlm"]), **LORA))["finetune"]["encoder"]["tune"] == "lora"


def test_a_stage_is_told_where_the_encoder_lies_that_it_reads_and_of_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    encoders = {"one": {"folder": "a", "pool": "clip", "device": "auto"}, "two": {"folder": "b", "pool": "frames"}}
    config = parsed(encoders=encoders, model={"features": ["speech", "two"]})
    monkeypatch.setenv(PLACES, json.dumps(places(config)))
    told = {"version": 1, "chunks": {}, "encoders.one": options_of("encoder", config, "mine", "one")["encoders.one"]}
    assert told["encoders.one"]["folder"] is None
    assert parse_signature(json.dumps(told)).encoders == {"one": config.encoders["one"]}
    assert parse_signature(signature("finetune", config, "mine")).encoders == {}
    longer = parsed(encoders=encoders, chunks={"count": 9})
    once, again = (options_of("encoder", one.as_encoder("one"), "mine", "one") for one in (config, longer))
    assert once == again  # means of clips do not depend on the chunks


def test_all_sets_of_tasks_are_singles_pairs_all_three_with_pseudo_labels_then_clusters() -> None:
    assert parsed().task_sets() == [
        "energy", "activation", "emotion", "energy-activation", "energy-emotion", "activation-emotion",
        "energy-activation-emotion", "clusters",
    ]  # fmt: skip


def test_chosen_sets_of_tasks_are_named_in_the_order_of_the_tasks() -> None:
    assert parsed(pretrain={"task_sets": [["emotion", "energy"]]}).initialisations() == ["scratch", "energy-emotion"]


def test_without_video_no_task_asks_for_a_face() -> None:
    audio_only = config_file.parse({"corpora": {"mine": {**CORPUS, "video": False}}})
    assert audio_only.task_sets() == ["energy", "clusters"]
    assert audio_only.with_video() == []


def test_without_sound_faces_are_labelled_and_nothing_is_trained_on() -> None:
    alone = config_file.parse({"corpora": {"mute": MUTE}})
    assert (alone.tasks_of("mute"), alone.task_sets()) == (["activation", "emotion"], [])
    pooled = config_file.parse({"corpora": {"mute": MUTE, "voices": {**MUTE, "audio": True, "video": False}}})
    assert pooled.task_sets() == ["energy", "clusters"], "no clip has both a voice and a label of its face"
    assert (pooled.with_video(), pooled.heard_for_pretraining()) == (["mute"], ["voices"])
    assert pooled.orofacial_corpora() == []
    none = {"pretrain": {"task_sets": []}}
    tuned = config_file.parse({"corpora": {"mute": MUTE, "heard": {"path": ".", "use": ["finetune"]}}, **none})
    assert tuned.initialisations() == ["scratch"]


def test_a_variant_has_its_loss_and_aggregator_and_no_penalty_that_it_does_not_read() -> None:
    config = parsed(finetune={"loss": "penalty", "penalty": {"alpha": 3}})
    assert config.variant.name == "penalty.mean"
    gated = config.as_variant(Variant("base", "gated"))
    assert (gated.model.aggregator, gated.finetune.loss, gated.finetune.penalty) == ("gated", "base", PenaltyOptions())


def test_the_ablation_is_every_loss_with_every_aggregator() -> None:
    config = parsed(ablation={"aggregators": ["mean", "gated"]})
    assert [variant.name for variant in config.ablated()] == [
        "base.mean",
        "base.gated",
        "penalty.mean",
        "penalty.gated",
    ]
    assert [variant.name for variant in config.ablated(votes=False)] == ["base.mean", "base.gated"]


@pytest.mark.parametrize(
    ("speakers", "heard"), [(([], []), ["tested"]), ((["a"], ["a", "b"]), ["tested"]), ((["a"], ["b"]), [])]
)
def test_speakers_that_pre_training_hears_and_the_test_too_are_noticed(
    speakers: tuple[list[str], list[str]], heard: list[str]
) -> None:
    corpora = {
        name: {"path": "same", "use": [use], "speakers": chosen or None}
        for name, use, chosen in (("heard", "pretrain", speakers[0]), ("tested", "finetune", speakers[1]))
    }
    assert config_file.parse({"corpora": corpora}).heard_in_pretraining() == heard

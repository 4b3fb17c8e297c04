"""The plan: what a configuration asks for, without opening an artefact."""

from pathlib import Path
from typing import Any

import pytest

from avpretext.config_file import as_upstream, parse
from avpretext.errors import UserError
from avpretext.run.plan import Plan
from avpretext.run.plan_checks import check_machines


def plan(more: dict[str, Any] | None = None, **corpora: dict[str, Any]) -> Plan:
    return Plan(parse({"results": "r", "corpora": corpora, **(more or {})}))


def corpus(reader: str = "ravdess", **more: Any) -> dict[str, Any]:
    return {"path": "p", "reader": reader, "use": ["finetune"], "video": False, **more}


def test_each_target_of_a_corpus_is_a_setting_with_files_of_its_own() -> None:
    asked = plan(crema=corpus("crema_d", targets=["acted", "voice-distribution"], protocol={"name": "chou"}))
    assert asked.targets["crema"] == {"acted": "acted", "voice-distribution": "voice-distribution"}
    assert asked.predictions("crema", "acted.chou") == [
        "r/crema/finetune/acted.chou/base.mean/scratch/predictions.parquet",
        "r/crema/baseline/acted.chou/predictions.parquet",
    ]
    assert asked.predictions("crema", "voice-distribution.chou") == [
        "r/crema/finetune/voice-distribution.chou/base.mean/scratch/predictions.parquet"
    ], "a support vector machine learns one class of each clip, no shares"


def test_the_ablation_has_its_own_targets_and_no_penalty_where_nobody_votes() -> None:
    chosen = {"targets": ["acted", "voice"], "aggregators": ["mean", "gated"]}
    asked = plan({"ablation": chosen}, crema=corpus("crema_d", protocol={"name": "chou"}))
    systems = ["acted.chou/base.mean", "acted.chou/base.gated"]
    systems += [f"voice.chou/{loss}.{aggregator}" for loss in ("base", "penalty") for aggregator in ("mean", "gated")]
    tuned = [path for path in asked.ablation() if "/finetune/" in path]
    assert tuned == [f"r/crema/finetune/{system}/scratch/predictions.parquet" for system in systems]
    assert asked.targets["crema"] == {"acted": "acted", "voice": "voice"}
    assert list(asked.settings["crema"]) == ["acted.chou"], "the main table keeps to the corpus's targets"


def test_a_penalty_without_votes_is_refused_with_the_fix() -> None:
    with pytest.raises(UserError, match=r"'acted' of crema has none: choose a voted target in corpora\.crema\.targets"):
        plan({"finetune": {"loss": "penalty"}}, crema=corpus("crema_d", protocol={"name": "chou"}))


def test_an_ensemble_is_of_what_is_trained_and_of_what_a_target_allows() -> None:
    labelled = {"path": ".", "use": ["finetune"], "targets": ["voice", "voice-distribution"], "reader": "crema_d"}
    content = {"corpora": {"it": labelled}, "ensemble": {"members": [["scratch", "svm"]]}}
    one = Plan(parse(content))
    settings = {kind: name for name, setting in one.settings["it"].items() for kind in [setting.kind]}
    together = {kind: one.predictions("it", name)[-1] for kind, name in settings.items()}
    assert "/ensemble/" in together["hard"]
    assert "/ensemble/" not in together["distribution"], "a support vector machine learns no shares"
    with pytest.raises(UserError, match="'svm_rbf' is none of scratch, svm; did you mean 'svm'"):
        Plan(parse({**content, "ensemble": {"members": [["scratch", "svm_rbf"]]}}))


def test_every_pretraining_is_started_from_equally_often_or_refused() -> None:
    both = corpus(use=["pretrain", "finetune"])

    def asked(pretrain: dict[str, Any], finetune: dict[str, Any], one: dict[str, Any] = both) -> Plan:
        return plan({"pretrain": {"task_sets": [["energy"]], **pretrain}, "finetune": finetune}, it=one)

    variant = asked({}, {}).config.variant
    starts = asked({"seeds": 2}, {"seeds": 4, "checkpoints": {"mine": ["a", "b"], "theirs": "c"}})
    assert starts.start(variant, "energy") == [
        f"r/pretrain/mean/energy/{seed}/checkpoint.safetensors" for seed in (0, 1)
    ]
    assert [starts.start(variant, name) for name in ("mine", "theirs", "scratch")] == [["a", "b"], ["c"], []]
    assert len(asked({}, {"seeds": 5}).start(variant, "energy")) == 5, "null: as many as runs"
    assert len(asked({}, {}, corpus(use=["pretrain"])).start(variant, "energy")) == 1, "nothing is fine-tuned"
    with pytest.raises(UserError, match=r"4 runs per fold cannot start from 3 pre-trainings \(pretrain.seeds\)"):
        asked({"seeds": 3}, {"seeds": 4})
    with pytest.raises(UserError, match=r"from 3 pre-trainings \(finetune.checkpoints.mine\)"):
        asked({}, {"seeds": 4, "checkpoints": {"mine": ["a", "b", "c"]}})
    with pytest.raises(UserError, match=r"from 0 pre-trainings \(finetune.checkpoints.mine\)"):
        asked({}, {"checkpoints": {"mine": []}})


def test_own_features_stand_beside_those_of_the_workflow(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").touch()
    own = corpus(features={"mine": str(tmp_path)}, shards=2)
    asked = plan({"model": {"features": ["mine", "log_mel"]}}, ravdess=own)
    assert asked.features(["ravdess"]) == {
        "ravdess.mine": [str(tmp_path / "a.parquet")],
        "ravdess.log_mel": [f"r/ravdess/log_mel/000{shard}.parquet" for shard in range(2)],
    }


def test_silent_clips_are_labelled_and_no_training_reads_them() -> None:
    talk = {"path": "p", "use": ["pretrain"]}
    asked = plan(talk=talk, mute={**talk, "audio": False})
    assert {key.partition(".")[0] for key in asked.labels("energy-activation-emotion")} == {"talk"}
    made = asked.of_corpus("mute")
    assert {"split.audio", "labels_activation", "labels_emotion", "action_units", "motion"} <= set(made)
    assert not {"labels_energy", "speech.rejects"} & set(made)
    stages = {one.artefact for one in asked.made if one.of == "mute"}
    assert not {"speech", "log_mel", "functionals"} & stages
    assert "speech" not in asked.refusing("mute")
    assert asked.heard("deepemocluster", "talk") == ["talk"]
    assert asked.phones() == ["r/talk/phones/0000.parquet"]
    with pytest.raises(UserError, match="phones: no corpus has sound that is read"):
        plan(mute={**talk, "audio": False}).phones()
    with pytest.raises(UserError, match=r"corpora\.mute\.audio: false: .* set use: \[pretrain\]"):
        plan(mute={"path": "p", "use": [], "audio": False})


def test_features_that_no_corpus_has_are_named() -> None:
    with pytest.raises(
        UserError, match=r"model\.features: 'log_mell' is none of speech, log_mel.*did you mean 'log_mel'"
    ):
        plan({"model": {"features": ["log_mell"]}}, ravdess=corpus())


def test_a_corpus_that_is_trained_on_gives_its_first_target() -> None:
    across = corpus(label_map="six", protocol={"name": "cross_corpus", "train": ["crema"]})
    asked = plan(crema=corpus("crema_d", use=[], targets=["voice", "acted"], label_map="six"), ravdess=across)
    assert asked.targets == {"crema": {"voice-six": "voice"}, "ravdess": {"acted-six": "acted"}}
    assert asked.target_tables("ravdess", "acted-six.cross_corpus") == {
        "ravdess": ["r/ravdess/targets/acted-six.parquet"],
        "crema": ["r/crema/targets/voice-six.parquet"],
    }


def test_long_recordings_have_their_clips_from_another_stage() -> None:
    asked = plan(talks=corpus("folder", use=["pretrain"], segment=True, shards=2, video=True))
    assert asked.clips("talks") == "segment"
    clips = ["r/talks/segment/0000.parquet", "r/talks/segment/0001.parquet"]
    assert asked.of_corpora("clips", ["talks"]) == {"talks": clips}
    assert asked.refusing("talks") == ["index", "segment", "split", "speech", "landmarks"]


def test_sets_of_tasks_read_the_labels_that_a_corpus_can_have() -> None:
    asked = plan(seen=corpus("folder", use=["pretrain"], video=True), heard=corpus("folder", use=["pretrain"]))
    assert asked.labels("energy-emotion") == {
        "seen.energy": ["r/seen/labels_energy/all.parquet"],
        "seen.emotion": ["r/seen/labels_emotion/all.parquet"],
        "heard.energy": ["r/heard/labels_energy/all.parquet"],
    }


def test_a_corpus_without_labels_cannot_be_fine_tuned() -> None:
    with pytest.raises(UserError, match="take finetune out of its `use`"):
        plan(grid=corpus("grid"))


def test_what_cannot_be_is_said_before_anything_runs() -> None:
    with pytest.raises(UserError, match="'chou' is published for crema_d, not for ravdess"):
        plan(ravdess=corpus(protocol={"name": "chou"}))
    with pytest.raises(UserError, match="did you mean 'acted'"):
        plan(ravdess=corpus(targets=["actd"]))


def test_labels_that_are_smooth_are_not_smoothed_again() -> None:
    smooth = corpus("crema_d", targets=["voice-smoothed"])
    with pytest.raises(
        UserError, match=r"label_smoothing = 0\.1: the target 'voice-smoothed' of films .*label_smoothing: 0"
    ):
        plan(films=smooth)
    assert plan({"finetune": {"label_smoothing": 0}}, films=smooth).settings["films"]


def test_action_units_are_measured_from_what_their_backend_reads() -> None:
    talks = {"talks": {"path": "p", "use": ["pretrain"]}}

    def inputs(**options: str) -> list[str]:
        asked = Plan(parse({"corpora": talks, "action_units": options}))
        return list(asked.action_unit_inputs("talks", "0000"))

    assert inputs() == ["landmarks", "index", "neutral"]
    assert inputs(calibration="clip") == ["landmarks", "index", "neutral"]
    assert inputs(calibration="none") == ["landmarks", "index"]
    assert inputs(backend="pyfeat") == ["frames"]
    assert inputs(backend="import", imports="folder") == ["landmarks", "index"]


def exported(asked: Plan) -> list[str]:
    return [file for made in asked.made if made.artefact == "export.model" for file in made.files]


def test_a_model_to_take_away_is_made_of_each_setting_from_what_is_chosen() -> None:
    corpora = {"crema": corpus("crema_d", targets=["acted", "voice"], use=["pretrain", "finetune"])}
    asked = plan({"export": {"initialisations": ["best", "energy"]}}, **corpora)
    folders = [
        f"r/crema/export/{setting}.speaker_kfold/{start}"
        for setting in ("acted", "voice")
        for start in ("best", "energy")
    ]
    assert exported(asked) == [f"{folder}/model.json" for folder in folders]
    starts = {
        name: [f"r/pretrain/mean/{name}/{seed}/checkpoint.safetensors" for seed in range(4)]
        for name in ("energy", "clusters")
    }
    assert asked.export_starts("best") == starts
    assert asked.export_starts("energy") == {"energy": starts["energy"]}
    assert asked.export_starts("scratch") == {}
    assert list(asked.export_histories("crema", "acted.speaker_kfold", "best")) == ["scratch", "energy", "clusters"]
    assert asked.export_histories("crema", "acted.speaker_kfold", "energy") == {}
    assert exported(plan({"export": {"initialisations": []}}, **corpora)) == []


def test_phones_are_found_in_sound_words_and_the_tables_that_are_asked_for(tmp_path: Path) -> None:
    own = {"dictionary": "mine.dict", "visemes": "mine.yaml"}
    table = tmp_path / "clips.csv"
    table.write_text("path\na.wav\n")
    asked = plan({"phones": own}, mine=corpus("folder", use=[], table=str(table), transcripts="said.csv", truth="t"))
    assert asked.phone_tables("mine") == [str(table), "said.csv", "mine.dict", "mine.yaml"]
    true = plan({"phones": {"backend": "truth"}}, mine=corpus(truth="t", segment=True, use=[]))
    assert true.phone_tables("mine") == ["t/phonemes.parquet"]
    assert not any("phones" in path for path in asked.files), "no part of the main flow"


def test_what_the_tables_rest_on_is_planned_whatever_lies_in_the_folder() -> None:
    both = corpus("crema_d", use=["pretrain", "finetune"], video=True)
    more = {"deepemocluster": {"variants": ["head_trained"]}, "ensemble": {"members": [["scratch", "svm"]]}}
    asked = plan({**more, "finetune": {"speeds": [1.08]}}, crema=both)
    made = {one.artefact for one in asked.made}
    beside = {"deepemocluster.predictions", "ensemble.predictions", "speed", "functionals", "export.model", "card.card"}
    assert beside <= made
    assert {"log_mel", "models", "neutral", "landmarks.thumbnails", "pretrain.checkpoint"} <= made
    assert not {"phones", "lower_face", "segment", "co_occurrence", "statistics"} & made
    without = plan(crema=corpus("crema_d"))
    assert not {one.artefact for one in without.made} & {"landmarks", "log_mel", "pretrain.history", *more}
    assert len(asked.files) == len(set(asked.files))


def test_clips_are_put_into_conditions_where_they_are_tested_and_no_training_but_for_a_table_hears_them() -> None:
    across = corpus("crema_d", protocol={"name": "cross_corpus", "train": ["other"]})
    more: dict[str, Any] = {"evaluate": {"conditions": ["noise10", "telephone", "noise10"]}}
    more |= {"finetune": {"speeds": [1.08]}, "deepemocluster": {"variants": ["head_trained"]}}
    asked = plan(more, crema=across, other=corpus(use=["pretrain"]))
    assert [one.of for one in asked.made if one.artefact == "degrade"] == ["crema@noise10", "crema@telephone"]
    degraded = [one.artefact for one in asked.made if one.of == "crema@noise10"]
    assert degraded == ["degrade", "speech", "functionals"], "what DeepEmoCluster hears is left out"
    learnt = ["crema", "other", "crema@1.08", "other@1.08"]
    assert asked.heard("finetune", "crema") == [*learnt, "crema@noise10", "crema@telephone"]
    assert asked.heard("baseline", "crema") == ["crema", "other", "crema@noise10", "crema@telephone"]
    assert asked.heard("export", "crema") == learnt
    assert asked.heard("deepemocluster", "crema") == ["other", "crema"]
    encoders = {"encoders": {"wavlm": {}}, "upstreams": {"speech": {}, "wavlm": {"model": {"features": ["wavlm"]}}}}
    upstream = as_upstream(asked.config.model_validate({**asked.config.model_dump(), **encoders}), "wavlm")
    assert upstream.evaluate.conditions == [], "they are for the main table"


def test_your_own_features_cannot_be_had_in_a_condition() -> None:
    own = corpus("crema_d", features={"mine": "features"})
    asked = plan({"model": {"features": ["mine"]}, "evaluate": {"conditions": ["noise10"]}}, crema=own)
    with pytest.raises(
        UserError, match=r"evaluate\.conditions: 'mine' .* of other sound: set evaluate\.conditions: \[\]"
    ):
        asked.features(asked.heard("finetune", "crema"))


def test_every_target_of_a_corpus_is_planned() -> None:
    asked = plan(crema=corpus("crema_d", targets=["acted", "voice"]))
    assert [one.files for one in asked.made if one.artefact == "targets"] == [
        [asked.layout.path("targets", corpus="crema", target=target)] for target in ("acted", "voice")
    ]


def test_kept_frames_are_planned() -> None:
    kept = plan({"split": {"keep_frames": True}}, crema=corpus("crema_d", use=["pretrain"], video=True))
    assert set(kept.shards("crema", "split.frames")) <= set(kept.files)


def test_an_encoder_that_learns_hears_sound_and_its_stage_is_made_only_where_it_stays_frozen() -> None:
    lora = {"encoder": {"tune": "lora"}}
    heard: dict[str, Any] = {"encoders": {"wavlm": {}}, "model": {"features": ["wavlm"]}}
    heard |= {"baseline": {"normalise": []}, "pretrain": {"task_sets": [["clusters"]]}}
    corpora = {"talks": corpus(use=["pretrain"]), "crema": corpus(shards=1)}

    def stored(more: dict[str, Any]) -> list[str]:
        asked = plan({**heard, **more}, **corpora)
        assert asked.encoders == ["wavlm"]
        assert "speed" not in {one.artefact for one in asked.made}
        return [one.of for one in asked.made if one.artefact == "encoder"]

    learnt = {"pretrain": {**heard["pretrain"], **lora}}
    assert stored({}) == ["talks/wavlm", "crema/wavlm"]
    assert stored({"finetune": lora}) == ["talks/wavlm"]
    assert stored(learnt) == ["crema/wavlm"]  # for scratch
    assert stored({"finetune": lora, **learnt}) == []
    both = plan({**heard, **learnt, "finetune": {**lora, "speeds": [0.9]}}, **corpora)
    assert [one.of for one in both.made if one.artefact == "speed"] == ["crema@0.9"]
    assert both.features(["crema@0.9"], sound=True) == {"crema@0.9.wavlm": ["r/crema@0.9/split/audio/0000.parquet"]}
    assert next(one.files for one in both.made if one.artefact == "pretrain.encoder") == [
        f"r/pretrain/mean/clusters/{seed}/encoder/model.safetensors" for seed in range(4)
    ]
    tuned = plan({**heard, **learnt}, **corpora)
    assert [tuned.sound_encoder("finetune", start) for start in ("scratch", "clusters")] == [None, "wavlm"]
    assert [tuned.sound_encoder("export", exported=name) for name in ("scratch", "best")] == [None, "wavlm"]
    assert tuned.sound_encoder("pretrain") == "wavlm"
    assert tuned.sound_encoder("labels_energy") is None


def test_a_training_on_several_machines_needs_slurm_before_anything_runs() -> None:
    with pytest.raises(UserError, match=r"encoder\.machines: 2, and jobs run on this machine: use .*slurm, or set"):
        check_machines(2, True, {})
    check_machines(1, True, {})
    check_machines(2, False, {})  # of a cluster
    check_machines(2, True, {"SLURM_JOB_ID": "7"})

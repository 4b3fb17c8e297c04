"""The plan of orofacial models: what they are made from, and mistakes named before anything runs."""

from typing import Any

import pytest

from avpretext.config_file import parse
from avpretext.errors import UserError
from avpretext.orofacial.orofacial_plan import OrofacialPlan
from avpretext.run.plan import Plan

SEEN = {"path": "p", "use": ["pretrain"]}
HEARD = {"path": "q", "reader": "ravdess", "use": ["finetune"], "video": False}


def plan(orofacial: dict[str, Any] | None = None, **more: Any) -> OrofacialPlan:
    corpora = more.pop("corpora", {"seen": SEEN, "heard": HEARD})
    return OrofacialPlan(Plan(parse({"results": "r", "corpora": corpora, "orofacial": orofacial or {}, **more})))


def test_models_learn_from_every_corpus_whose_faces_are_looked_at() -> None:
    assert plan().corpora == ["seen"]
    assert ("movement", "seen=r/seen/lower_face@1") in plan().arguments()
    assert "r/seen/rejects/all.parquet" in plan().files()


def test_a_task_of_weight_0_needs_no_files() -> None:
    names = {name for name, _ in plan().arguments()}
    assert {"phones", "emotions"} <= names
    without = plan({"weights": {"viseme": 0, "emotion": 0}})
    assert not {"phones", "emotions"} & {name for name, _ in without.arguments()}
    assert not [path for path in without.files() if "phones" in path or "labels_emotion" in path]


def test_emotions_are_pseudo_labels_or_targets_of_one_class_per_clip() -> None:
    labelled = {"path": "p", "reader": "crema_d", "use": ["pretrain", "finetune"]}
    voted = {**labelled, "targets": ["voice-distribution"]}
    corpora = {"acted": labelled, "voted": voted, "seen": SEEN}
    assert plan(corpora=corpora).emotions()["seen"] == "r/seen/labels_emotion/all.parquet"
    found = plan({"emotion": "labels"}, corpora=corpora).emotions()
    assert found == {"acted": "r/acted/targets/acted.parquet"}


def test_features_of_ones_own_are_found_where_they_are(tmp_path: Any) -> None:
    own = {**SEEN, "features": {"wavlm": str(tmp_path)}}
    asked = plan({"features": ["speech", "wavlm"]}, corpora={"seen": own})
    assert ("features", f"seen.wavlm={tmp_path}") in asked.arguments()


def test_a_checkpoint_is_an_input() -> None:
    asked = plan({"checkpoint": "c.safetensors"})
    assert "c.safetensors" in asked.files()
    assert ("checkpoint", "c.safetensors") in asked.arguments()


@pytest.mark.parametrize(
    ("orofacial", "message"),
    [
        ({"corpora": ["sene"]}, "'sene' is no corpus of the configuration; did you mean 'seen'"),
        ({"corpora": ["heard"]}, "heard: faces are looked at with"),
        ({"features": ["speach"]}, "'speach' is none of speech, log_mel"),
    ],
)
def test_a_mistake_is_named_with_its_fix(orofacial: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan(orofacial)


def test_without_faces_or_with_few_landmarks_it_is_said_what_is_needed() -> None:
    with pytest.raises(UserError, match="no corpus has faces to move"):
        plan(corpora={"heard": HEARD}).checked()
    with pytest.raises(UserError, match=r"set landmarks\.points: all"):
        plan(landmarks={"points": "dlib68"}).checked()
    assert plan().checked().corpora == ["seen"]


def test_films_are_of_a_system_that_is_trained() -> None:
    assert plan().films() == ["r/orofacial/films"]
    assert plan({"films": 0}).films() == []
    assert plan({"systems": ["single"], "film_system": "joint"}).films() == []

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
    assert plan().of_corpora("lower_face") == {"seen": ["r/seen/lower_face/0000.parquet"]}


def test_a_task_of_weight_0_needs_no_files() -> None:
    assert plan().of_corpora("phones")
    assert plan().emotions()
    without = plan({"weights": {"viseme": 0, "emotion": 0}})
    assert without.of_corpora("phones") == without.emotions() == {}


def test_emotions_are_pseudo_labels_or_targets_of_one_class_per_clip() -> None:
    labelled = {"path": "p", "reader": "crema_d", "use": ["pretrain", "finetune"]}
    voted = {**labelled, "targets": ["voice-distribution"]}
    corpora = {"acted": labelled, "voted": voted, "seen": SEEN}
    assert plan(corpora=corpora).emotions()["seen"] == ["r/seen/labels_emotion/all.parquet"]
    found = plan({"emotion": "labels"}, corpora=corpora).emotions()
    assert found == {"acted": ["r/acted/targets/acted.parquet"]}


def test_features_of_ones_own_are_found_where_they_are(tmp_path: Any) -> None:
    own = {**SEEN, "features": {"wavlm": str(tmp_path)}}
    (tmp_path / "a.parquet").touch()
    asked = plan({"features": ["speech", "wavlm"]}, corpora={"seen": own})
    assert asked.features()["seen.wavlm"] == [str(tmp_path / "a.parquet")]


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


def test_the_end_of_a_run_names_films_model_and_the_command_to_try() -> None:
    films, model, animate = plan().next_steps()
    assert films.split() == ["Films:", "r/orofacial/films"]
    assert model.split() == ["Model:", "r/orofacial/cascade/model"]
    assert "avpretext animate r/orofacial/cascade/model SPEECH.wav" in animate
    alone = plan(orofacial={"systems": ["joint"]}).next_steps()
    assert [line.split()[1] for line in alone[:-1]] == ["r/orofacial/joint/model"], "no films of a system not trained"

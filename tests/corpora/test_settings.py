"""Settings: every label target of a corpus has a kind and, with its protocol, a name."""

from typing import Any, cast

import polars as pl
import pytest

from avpretext.config import CorpusOptions
from avpretext.corpora import READERS
from avpretext.corpora.reader import Reader, Source
from avpretext.corpora.settings import kind_of, settings_of, source_of, split_target, target_name, targets_of
from avpretext.errors import UserError


def nothing(options: CorpusOptions) -> pl.DataFrame:
    return pl.DataFrame()


SOURCES = {"acted": Source("label"), "voice": Source("votes", nothing), "arousal": Source("attribute", nothing)}


@pytest.fixture(autouse=True)
def made_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    readers = cast(dict[str, Reader], READERS)
    made = Reader(lambda options, files: [], sources=lambda options: SOURCES, protocols={"hicmae": ()})
    monkeypatch.setitem(readers, "made", made)
    monkeypatch.setitem(readers, "bare", Reader(lambda options, files: []))
    mute = Reader(lambda options, files: [], sources=lambda options: {"acted": Source("label")})
    monkeypatch.setitem(readers, "mute", mute)


def corpus(**more: Any) -> CorpusOptions:
    return CorpusOptions.model_validate({"path": "here", "reader": "made", "use": ["finetune"], **more})


def test_the_first_target_is_learnt_where_none_is_chosen() -> None:
    assert targets_of(corpus()) == ["acted"]
    assert targets_of(corpus(targets=["voice", "acted", "voice"])) == ["voice", "acted"]


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("acted", "hard"),
        ("voice", "hard"),
        ("voice-multi_label", "multi_label"),
        ("voice-distribution", "distribution"),
        ("voice-smoothed", "distribution"),
        ("arousal", "attribute"),
    ],
)
def test_the_form_of_a_target_tells_its_kind(target: str, kind: str) -> None:
    assert kind_of(corpus(), target) == kind


def test_a_dash_that_is_no_form_is_part_of_the_name() -> None:
    assert split_target("voice-distribution") == ("voice", "distribution")
    assert split_target("voice-smoothed") == ("voice", "smoothed")
    assert split_target("first-voice") == ("first-voice", None)
    assert split_target("first-voice-multi_label") == ("first-voice", "multi_label")


def test_names_hold_target_map_and_protocol() -> None:
    options = corpus(targets=["voice-distribution", "arousal"], label_map="four", protocol={"name": "hicmae"})
    assert [setting.name for setting in settings_of(options)] == ["voice-distribution-four.hicmae", "arousal.hicmae"]
    assert [setting.name for setting in settings_of(corpus())] == ["acted.speaker_kfold"]
    assert settings_of(corpus(use=["pretrain"])) == []


def test_a_map_that_is_spelt_out_or_a_file_has_a_name_too() -> None:
    assert target_name(corpus(label_map={"a": "b"}), "acted") == "acted-mapped"
    assert target_name(corpus(label_map="maps/my four.v2.yaml"), "acted") == "acted-my_four_v2"


def test_mistakes_are_told_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match=r"'voise' .* expected one of acted, voice, arousal; did you mean 'voice'"):
        source_of(corpus(), "voise")
    with pytest.raises(UserError, match=r"'acted-distribution': distribution needs votes.* votes are known for voice"):
        settings_of(corpus(targets=["acted-distribution"]))
    with pytest.raises(UserError, match="multi_label needs votes, and 'acted' has none; the corpus has no votes"):
        kind_of(corpus(reader="mute"), "acted-multi_label")
    with pytest.raises(UserError, match="the corpus has no labels"):
        source_of(corpus(reader="bare"), "acted")
    with pytest.raises(UserError, match="here: the reader 'bare' knows no labels of it"):
        settings_of(corpus(reader="bare"))


def test_a_protocol_that_the_corpus_cannot_have_is_said_so_before_anything_runs() -> None:
    with pytest.raises(UserError, match="'chou' is published for crema_d, not for made; made has hicmae"):
        settings_of(corpus(protocol={"name": "chou"}))
    with pytest.raises(UserError, match="'partitions': the reader made knows none"):
        settings_of(corpus(protocol={"name": "partitions"}))

"""Published results stand below a main table of the same corpus, label target and protocol, and below no other."""

from typing import Any

import pytest

from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.corpora import READERS
from avpretext.corpora.settings import settings_of
from avpretext.evaluation import published_results
from avpretext.evaluation.kinds import SCORINGS
from avpretext.evaluation.open_run import Evaluated, OpenRun, Rows
from avpretext.evaluation.published_results import PUBLISHED, PublishedRow, rows_beside

CREMA_D: dict[str, Any] = {
    "path": ".", "reader": "crema_d", "use": ["finetune"], "targets": ["voice"], "protocol": {"name": "chou"},
}  # fmt: skip
RAVDESS: dict[str, Any] = {"path": ".", "reader": "ravdess", "use": ["finetune"], "protocol": {"name": "emobox"}}
PODCAST: dict[str, Any] = {
    "path": ".", "reader": "msp_podcast", "use": ["finetune"], "video": False,
    "protocol": {"name": "partitions", "test_partitions": ["Test3"]},
}  # fmt: skip
OF_CREMA_D = {"clips": 6798, "speakers": 91}


def config_of(corpus: dict[str, Any]) -> Config:
    return parse({"corpora": {"mine": corpus}})


def beside(corpus: dict[str, Any], tested: dict[str, int], place: int = 0) -> list[PublishedRow]:
    """Return the published results below one row of a main table."""
    config = config_of(corpus)
    one = Evaluated("mine", settings_of(config.corpora["mine"])[place])
    rows: Rows = [{"initialisation": "scratch", **tested}]
    return rows_beside(OpenRun(config), one, rows)


def test_a_matching_setting_has_its_published_rows() -> None:
    assert [row.scores for row in beside(CREMA_D, OF_CREMA_D)] == [{"macro_f1": 0.574}]
    hicmae = CREMA_D | {"targets": ["acted"], "protocol": {"name": "hicmae"}}
    assert [row.scores["war"] for row in beside(hicmae, {"clips": 7438, "speakers": 91})] == [0.71, 0.724, 0.726, 0.734]
    assert len(beside(RAVDESS, {"clips": 1440, "speakers": 24})) == 6
    assert [row.scores for row in beside(PODCAST, {"clips": 2347, "speakers": 300})] == [
        {"macro_f1": 0.311}, {"macro_f1": 0.357}
    ]  # fmt: skip
    arousal = PODCAST | {"targets": ["arousal"]}
    assert [row.scores for row in beside(arousal, {"clips": 2347, "speakers": 300})] == [{"ccc": 0.405}, {"ccc": 0.566}]
    together = PODCAST | {"targets": ["attributes"]}
    (row,) = beside(together, {"clips": 2347, "speakers": 300})
    assert row.scores == {"ccc": pytest.approx((0.577 + 0.577 + 0.405) / 3, abs=0.0005)}
    assert beside(PODCAST | {"targets": ["arousal+valence"]}, {"clips": 2347, "speakers": 300}) == []


@pytest.mark.parametrize(
    "other",
    [
        {"targets": ["acted"]},
        {"targets": ["face"]},
        {"targets": ["voice-distribution"]},
        {"targets": ["voice-smoothed"]},
        {"protocol": {"name": "emo_superb"}},
        {"protocol": {"name": "hicmae"}},
        {"protocol": {"name": "speaker_kfold", "folds": 5}},
        {"label_map": "four"},
        {"ties": "acted"},
        {"synthetic": True},
        {"segment": True},
        {"speakers": ["1001", "1002"]},
    ],
)
def test_a_near_miss_has_none(other: dict[str, Any]) -> None:
    assert beside(CREMA_D | other, OF_CREMA_D) == []


@pytest.mark.parametrize(
    ("corpus", "tested"),
    [
        (CREMA_D, {"clips": 6798, "speakers": 90}),
        (CREMA_D, {"clips": 6700, "speakers": 91}),
        (CREMA_D, {"clips": 7442, "speakers": 91}),
        (RAVDESS | {"parts": ["speech", "song"]}, {"clips": 1440, "speakers": 24}),
        (RAVDESS | {"parts": ["song"]}, {"clips": 1440, "speakers": 24}),
        (RAVDESS, {"clips": 944, "speakers": 16}),
        (RAVDESS | {"protocol": {"name": "emobox", "lists": "."}}, {"clips": 1440, "speakers": 24}),
        (PODCAST | {"protocol": {"name": "partitions"}}, {"clips": 2347, "speakers": 300}),
        (PODCAST | {"protocol": {"name": "emo_superb"}}, {"clips": 2347, "speakers": 300}),
        (PODCAST, {"clips": 3200, "speakers": 300}),
    ],
)
def test_other_clips_or_speakers_have_none(corpus: dict[str, Any], tested: dict[str, int]) -> None:
    assert beside(corpus, tested) == []


def test_one_of_several_targets_has_them_alone() -> None:
    both = CREMA_D | {"targets": ["acted", "voice"]}
    assert beside(both, OF_CREMA_D, 0) == []
    assert len(beside(both, OF_CREMA_D, 1)) == 1


def test_every_published_row_has_a_source_and_measures_that_its_table_prints() -> None:
    for known in PUBLISHED:
        corpus = {"path": ".", "reader": known.reader, "use": ["finetune"], "targets": [known.target]}
        protocol = {"name": known.protocol, "test_partitions": list(known.test_partitions) or None}
        options = config_of(corpus | {"protocol": protocol}).corpora["mine"]
        (setting,) = settings_of(options)
        scoring = SCORINGS[setting.kind]
        assert known.is_of(options, Evaluated("mine", setting))
        if (folds := READERS[known.reader].protocols.get(known.protocol)) is not None:
            assert known.speakers == len({speaker for fold in folds for speaker in fold.test})
        for row in known.rows:
            assert row.source
            assert row.scores
            assert set(row.scores) <= {scoring.main, *scoring.shown}


def test_cells_stand_under_their_measures_and_only_known_measures_have_a_column() -> None:
    rows = [PublishedRow("A", "B 2020", {"war": 0.7}), PublishedRow("C", "D 2021", {"uar": 0.61, "war": 0.72})]
    assert published_results.header(rows, SCORINGS["hard"]) == ["Published system", "Source", "UAR", "WAR"]
    assert published_results.cells(rows, SCORINGS["hard"]) == [
        ["A", "B 2020", "", "0.700"],
        ["C", "D 2021", "0.610", "0.720"],
    ]


def test_the_caveat_of_a_setting_is_said_once() -> None:
    said = published_results.sentences(beside(CREMA_D, OF_CREMA_D))
    assert said.startswith("Published, not run here")
    assert said.count("How this paper counts votes") == 1

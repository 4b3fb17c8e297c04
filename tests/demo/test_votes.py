"""The demo's raters: votes in CREMA-D's table that the clips' clarity explains, and the confusions that are stated."""

import csv
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avpretext.config import CorpusOptions, DemoOptions
from avpretext.corpora.readers import crema_d
from avpretext.corpora.settings import settings_of
from avpretext.demo import corpus, votes
from avpretext.demo.clips import Performance, perform
from avpretext.demo.emotions import EMOTIONS, PROSODY, PROTOTYPES
from avpretext.demo.muscles import MOVEMENTS

OPTIONS = DemoOptions(labelled_speakers=3, clips_per_emotion=2)
Clips = list[Performance]


@pytest.fixture(scope="module")
def clips() -> Clips:
    plans = [plan for plan in corpus.plan_corpus(OPTIONS) if plan.corpus == "labelled"]
    return [perform(plan, OPTIONS) for plan in plans]


@pytest.fixture(scope="module")
def folder(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("labelled")
    votes.write_votes(made / votes.FILE, clips, OPTIONS.seed)
    return made


def test_the_table_is_laid_out_as_crema_ds(folder: Path, clips: Clips, shared_data: Path) -> None:
    with (folder / votes.FILE).open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    with (shared_data / "crema-d" / crema_d.VOTES).open(encoding="utf-8", newline="") as file:
        published = next(csv.reader(file))
    assert header == published[: len(header)]
    assert [row[0] for row in rows[:: len(clips)]] == ["100001", "200001", "300001"]
    for row in rows:
        counts = [int(count) for count in row[1:7]]
        assert sum(counts) == int(row[8]) == votes.RATERS
        assert float(row[9]) == max(counts) / votes.RATERS
        assert row[10].split(":") == [
            name for name, count in zip("ADFHNS", counts, strict=True) if count == max(counts)
        ]


def test_the_reader_finds_every_group_of_raters_and_still_learns_the_acted_emotion_first(
    folder: Path, clips: Clips
) -> None:
    options = CorpusOptions(path=str(folder), reader="crema_d", use=["finetune"])
    for group in votes.GROUPS:
        table = crema_d.votes(group)(options)
        assert table["clip_id"].to_list() == [clip.plan.clip_id for clip in clips]
        assert table.select(EMOTIONS).to_numpy().sum(axis=1).tolist() == [votes.RATERS] * len(clips)
    assert [setting.target for setting in settings_of(options)] == ["acted"]


def test_the_same_seed_gives_the_same_bytes_and_a_clips_votes_do_not_depend_on_others(
    folder: Path, clips: Clips, tmp_path: Path
) -> None:
    written = (folder / votes.FILE).read_bytes()
    votes.write_votes(tmp_path / "again.csv", clips, OPTIONS.seed)
    assert (tmp_path / "again.csv").read_bytes() == written
    votes.write_votes(tmp_path / "other.csv", clips, OPTIONS.seed + 1)
    assert (tmp_path / "other.csv").read_bytes() != written
    votes.write_votes(tmp_path / "one.csv", clips[5:6], OPTIONS.seed)
    first = (tmp_path / "one.csv").read_text().splitlines()[1]
    assert first.partition(",")[2] == written.decode().splitlines()[6].partition(",")[2]


def test_a_clearer_clip_gets_more_true_votes(clips: Clips) -> None:
    for group in votes.GROUPS:
        clarity = [votes.beliefs(clip)[group][EMOTIONS.index(clip.plan.emotion)] for clip in clips]
        true = [
            np.mean([votes.votes_on(clip, seed)[group][EMOTIONS.index(clip.plan.emotion)] for seed in range(40)])
            for clip in clips
        ]
        # 400 raters of a clip: a deviation of at most .025
        np.testing.assert_allclose(np.array(true) / votes.RATERS, clarity, atol=0.1)


def test_who_hears_and_sees_is_surer_than_who_does_one(clips: Clips) -> None:
    mean = {
        group: np.mean([votes.beliefs(clip)[group][EMOTIONS.index(clip.plan.emotion)] for clip in clips])
        for group in votes.GROUPS
    }
    assert 1 / 6 < mean["voice"] < mean["face"] < mean["both"] < 1


def test_what_a_clip_is_missed_for_is_as_stated() -> None:
    believed = np.array([0.2, 0.4, 0.1, 0.1, 0.1, 0.1])
    assert votes.named("DIS", believed, "voice") == pytest.approx([0.102, 0.4, 0.078, 0.024, 0.318, 0.078])
    assert votes.named("DIS", believed, "both") == pytest.approx([0.105, 0.4, 0.105, 0.021, 0.198, 0.171])


@pytest.mark.parametrize(("group", "digit"), [("voice", "1"), ("face", "2")])
def test_the_stated_confusions_are_those_of_crema_ds_raters(shared_data: Path, group: str, digit: str) -> None:
    counts = {emotion: np.zeros(6) for emotion in EMOTIONS}
    with (shared_data / "crema-d" / crema_d.VOTES).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row[""].startswith(digit):
                counts[row["fileName"][9:12]] += [int(row[emotion[0]]) for emotion in EMOTIONS]
    for emotion, place in zip(EMOTIONS, range(6), strict=True):
        counts[emotion][place] = 0
        stated = votes.TAKEN_FOR[group][emotion]
        assert sum(stated) == pytest.approx(1)
        np.testing.assert_allclose(stated, counts[emotion] / counts[emotion].sum(), atol=0.011)


def test_an_emotion_said_and_shown_as_usual_is_believed_more_than_any_other(clips: Clips) -> None:
    for emotion in EMOTIONS:
        movements = np.zeros_like(clips[0].movements)
        for unit, strength in PROTOTYPES[emotion].items():
            movements[:, MOVEMENTS.index(unit)] = votes.SHOWN * strength
        usual = replace(clips[0], prosody=PROSODY[emotion], movements=movements)
        for group, believed in votes.beliefs(usual).items():
            assert believed.sum() == pytest.approx(1), group
            assert EMOTIONS[int(believed.argmax())] == emotion


def test_a_corpus_made_before_it_had_votes_gets_them_and_keeps_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "is_complete", lambda output, options: True)
    small = DemoOptions(labelled_speakers=1, clips_per_emotion=1)
    (tmp_path / "labelled").mkdir()
    (tmp_path / "labelled" / "VideoDemographics.csv").write_text("as before")
    corpus.run(tmp_path, small, tmp_path / "no_model.task")
    made = tmp_path / "labelled" / votes.FILE
    first = hashlib.sha256(made.read_bytes()).hexdigest()
    assert len(made.read_text().splitlines()) == 1 + 3 * 6
    assert (tmp_path / "labelled" / "VideoDemographics.csv").read_text() == "as before"
    corpus.run(tmp_path, small, tmp_path / "no_model.task")
    assert hashlib.sha256(made.read_bytes()).hexdigest() == first

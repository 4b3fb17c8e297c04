"""Too few speakers are found by the names of files, before anything is decoded."""

import pytest

from avpretext.config import CorpusOptions
from avpretext.corpora import enough
from avpretext.corpora.reader import Clip
from avpretext.corpora.scan import ClipFile
from avpretext.errors import UserError


def found(*speakers: str | None, **options: object) -> enough.Found:
    names = [f"{number}.wav" for number in range(len(speakers))]
    clips = [Clip(name, speaker) for name, speaker in zip(names, speakers, strict=True)]
    files = [ClipFile(clip.clip_id, clip.clip_id, clip, None, 1, 1) for clip in clips]
    return CorpusOptions(path=".", use=["finetune"], **options), files  # type: ignore[arg-type]


def test_one_speaker_is_too_few_to_pretrain() -> None:
    with pytest.raises(UserError, match=r"needs 2 speakers.*; talks has 1: .*pseudo_labels"):
        enough.check_pretraining({"talks": found("ann", "ann")})


@pytest.mark.parametrize("speakers", [("ann", "bob"), ("ann", None), (None, None)])
def test_two_speakers_or_files_of_unknown_ones_are_enough_to_pretrain(speakers: tuple[str | None, ...]) -> None:
    enough.check_pretraining({"talks": found(*speakers)})


def test_one_speaker_in_each_of_two_corpora_is_enough() -> None:
    enough.check_pretraining({"talks": found("ann"), "others": found("ann")})


def test_a_recording_that_is_yet_to_be_cut_may_have_several_speakers() -> None:
    enough.check_pretraining({"talks": found(None, segment=True)})


def test_folds_need_as_many_speakers() -> None:
    enough.check_folds("talks", *found("a", "b", "c", "d"), seed=1)
    with pytest.raises(UserError, match=r"corpora.talks: 3 speakers .*set protocol.folds to 3"):
        enough.check_folds("talks", *found("a", "b", "c"), seed=1)
    alone = found("a", "b", "c", protocol={"name": "leave_one_speaker_out"})
    with pytest.raises(UserError, match=r"corpora.talks: .*2 speakers are left for train and dev"):
        enough.check_folds("talks", *alone, seed=1)
    enough.check_folds("talks", *found("a", "b", protocol={"name": "partitions"}), seed=1)

"""Whether corpora have speakers enough for what is asked of them, by their files: before anything is decoded."""

from collections.abc import Mapping, Sequence

from avpretext.config import CorpusOptions
from avpretext.corpora.protocols import leave_one_speaker_out, speaker_kfold
from avpretext.corpora.scan import ClipFile
from avpretext.errors import UserError

FEWEST_VOICES = 2
"""Pre-training holds one speaker out."""

Found = tuple[CorpusOptions, Sequence[ClipFile]]
"""The options of a corpus, and its files by a scan."""


def check_pretraining(corpora: Mapping[str, Found]) -> None:
    """Raise UserError where the corpora of pre-training, by name, have fewer than two speakers together."""
    known = {name: voices(*found) for name, found in corpora.items()}
    if None in known.values():
        return
    speakers = {(name, speaker) for name, speaking in known.items() for speaker in speaking or ()}
    if len(speakers) < FEWEST_VOICES:
        raise UserError(
            f"pre-training needs {FEWEST_VOICES} speakers, one held out for early stopping; {', '.join(corpora)} has"
            f" {len(speakers)}: add speakers, or make the labels alone: target pseudo_labels"
        )


def check_folds(corpus: str, options: CorpusOptions, files: Sequence[ClipFile], seed: int) -> None:
    """Raise UserError where a corpus has too few speakers to deal them to the folds of its protocol."""
    speaking, protocol = voices(options, files), options.protocol
    if speaking is None:
        return
    try:
        if protocol.name == "speaker_kfold":
            speaker_kfold(speaking, protocol.folds, seed)
        elif protocol.name == "leave_one_speaker_out":
            leave_one_speaker_out(speaking, protocol.dev_speakers, seed)
    except UserError as error:
        raise UserError(f"corpora.{corpus}: {error}") from None


def voices(options: CorpusOptions, files: Sequence[ClipFile]) -> list[str] | None:
    """Return the speaker of each clip; an unknown one counts as one of its own, of clips yet to be cut it is None."""
    speaking = []
    for file in files:
        if file.clip is not None and file.clip.speaker is None and options.segment:
            return None
        if file.clip is not None:
            speaking.append(file.clip.speaker or f"clip {file.clip_id}")
    return speaking

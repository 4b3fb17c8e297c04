"""Findings: what is wrong with a corpus, or worth knowing, and what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass

EXAMPLES = 3
"""Examples that a finding keeps."""

_JOIN = "join them by corpora.NAME.label_map"
_NAME_SPEAKERS = "name the speakers in a column `speaker` of the table"

FIXES = {
    # Of files, by a reason of `REASONS`.
    "unknown_name": "move them out of the corpus, give them their own names back, or choose another reader",
    "duplicate_clip_id": "remove all files of that clip_id but one",
    "lfs_pointer": "run `git lfs install` and `git lfs pull` there, then check again",
    "known_broken": "nothing: they are left out",
    "empty_file": "copy or download them again",
    "not_media": "copy or download them again, or move them out of the corpus",
    "no_audio": "find a copy with sound, or move them out of the corpus; without it, corpora.NAME.audio: false (here:"
    " --silent) gives labels of faces alone, for all files of the corpus",
    "no_sound": "set corpora.NAME.audio to false (here: --silent) for labels of the faces alone, activation and"
    " emotion; to train on these clips, find a copy with sound",
    "no_video": "set corpora.NAME.video to false, or move them out of the corpus",
    "truncated": "copy or download them again",
    "unreadable": "mend the links or permissions",
    "missing_file": "copy the files to where the table says, or take their rows out of it",
    "unlisted": "add rows for them to the table, or move them out of the corpus",
    "bad_segment": "correct start and end in the table, in seconds",
    # Of the whole corpus.
    "leads_outside": "nothing, if these links are yours: they are followed, and media alone is read",
    "no_speaker": "name the speakers, by a folder each or in a table; pre-training and partitions need no names",
    "incomplete": "download what is missing, or go on with what is here",
    "target": "correct the table, or set corpora.NAME.targets",
    # Of names and cells.
    "words_for_nothing": "leave such cells empty in the table",
    "decimal_comma": "nothing, if they are read right; else write numbers with a point",
    "speaker_folder": "nothing, if that is right; else set corpora.NAME.speaker_folder (here: --speaker-folder), or"
    " name the speakers in a table",
    "speaker_column": "rename the column `speaker`, or give it another name if it is of something else",
    "untold_speaker": "set corpora.NAME.speaker_folder to the number of the folder that is the person's, 0 for none"
    " (in `avpretext corpus`: --speaker-folder), or name the speakers in a table",
    "folders_are_labels": f"{_NAME_SPEAKERS}; clips of unknown speakers leak between training and test",
    "alike_speakers": "give one person one name, in the table or the folders; a run stops where a fold parts them",
    "alike_labels": f"{_JOIN}, or correct the table",
    "alike_partitions": "correct the column `fold` of the table",
    "one_label": f"{_NAME_SPEAKERS}, or set corpora.NAME.speaker_folder (here: --speaker-folder); nothing, if each"
    " person has one label indeed, as with diagnoses",
    "untaught_class": "choose another protocol or more speakers, or join classes by corpora.NAME.label_map",
    "untested_class": "choose another protocol, or join classes by corpora.NAME.label_map",
    "same_people": "leave them out of one corpus by corpora.NAME.speakers, or give different people different names",
    # Of sound and pictures.
    "silent": "find a copy with sound, or move them out of the corpus; or set corpora.NAME.audio to false for labels of"
    " faces alone",
    "no_face": "look at them; set corpora.NAME.video to false where faces are not the matter, or lower"
    " landmarks.min_face_fraction",
    "clipped": "find a copy that is less loud; what was cut off cannot be mended",
    "inverted": "nothing: the mix is right",
    "silent_channel": "nothing: the mix is right",
    "no_speech_channel": "nothing, if that channel is to be left out",
    "no_speech": "hear whether these are speech: music, noise and silence get labels too",
    "offset": "nothing: a high-pass at 20 Hz takes it out",
    "quiet": "find a louder copy, or the originals",
    "zeros": "at the ends split.trim_db cuts them off; in the middle, find a whole copy",
    "narrow_band": "keep them apart from recordings of full band, from which models tell them by the band alone",
    "levels": "normalise by speaker (model.normalise, baseline.normalise), or bring the files to one level",
    "copies": "keep one of each; folds keep them apart (protocol.duplicates), and pre-training hears both",
    "faces": "give --model with the file face_landmarker.task; `avpretext doctor` names missing libraries",
}
"""Reason of a finding: what to do about it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a corpus, or worth knowing.

    Attributes
    ----------
    reason
        One of `FIXES`.
    meaning
        What was seen, and what is made of it.
    count
        How many clips, cells or names; 0 where there is nothing to count.
    examples
        Some of them, with what was seen.
    wrong
        False for what a sound copy has too.
    """

    reason: str
    meaning: str
    count: int = 0
    examples: tuple[str, ...] = ()
    wrong: bool = False

    @property
    def fix(self) -> str:
        """Return what to do."""
        return FIXES[self.reason]

    @property
    def sentence(self) -> str:
        """Return it as a sentence."""
        return f"{self.count:,} {self.meaning}" if self.count else f"{self.meaning[:1].upper()}{self.meaning[1:]}"


def counted(reason: str, meaning: str, seen: Sequence[str], wrong: bool = False) -> list[Finding]:
    """Return the finding of these clips or names, some of them its examples; nothing where there are none."""
    return [Finding(reason, meaning, len(seen), tuple(seen[:EXAMPLES]), wrong)] if seen else []

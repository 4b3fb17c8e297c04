"""Options of a corpus: where it lies, how it is read, which of its labels are learnt, on which folds."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from avpretext.errors import nearest
from avpretext.names import nfc
from avpretext.options.base import Count, Location, Options

Name = Annotated[str, AfterValidator(nfc)]
"""A name as tables and folders of the corpus have it, in the one Unicode form that both are read in."""

ProtocolName = Literal[
    "speaker_kfold", "leave_one_speaker_out", "speakers", "partitions", "cross_corpus", "chou", "hicmae", "emobox",
    "emo_superb",
]  # fmt: skip


class ProtocolOptions(Options):
    """Clips that train, choose the epoch and test."""

    name: ProtocolName = Field(
        "speaker_kfold",
        description="speaker_kfold, leave_one_speaker_out; speakers: `test_speakers`; partitions: the corpus's"
        " own; cross_corpus: train on `train`; published folds: chou, hicmae, emobox, emo_superb",
    )
    folds: int = Field(4, ge=3, description="speaker_kfold: number of folds")
    test_speakers: list[list[Name]] | None = Field(
        None, description='speakers: the test speakers of each fold, e.g. [["01", "11"], ["04", "10"]]'
    )
    dev_speakers: Count = Field(
        2, description="number of dev speakers, drawn by seed from the training speakers, if the protocol names none"
    )
    test_partitions: list[Name] | None = Field(
        None, description="partitions: test partitions, e.g. [Test1]; null: all partitions named test"
    )
    lists: Annotated[str | None, Location()] = Field(
        None, description="emobox: folder with EmoBox's lists of the corpus; null: the published ones"
    )
    train: list[str] = Field([], description="cross_corpus: names of the training corpora")
    allow_speaker_leaks: bool = Field(
        False, description="true: a speaker may be in train and test; only for published splits that leak"
    )
    duplicates: Literal["drop", "error"] = Field(
        "drop",
        description="copies of test audio in train and dev, and clips of equal audio with different labels; drop:"
        " they are left out; error: the run stops",
    )
    reencoded: bool = Field(True, description="true: re-encoded copies are duplicates too; false: equal samples only")


class CorpusOptions(Options):
    """One corpus: its folder, reader and use."""

    of: str | None = Field(
        None,
        description="name of another corpus of this file, to use its clips with other `targets`, `label_map` or"
        " `protocol`; then leave out path and reader",
    )
    path: Annotated[str, Location()] = Field(description="folder of the corpus, as downloaded")
    reader: str = Field(
        "folder", description="reader of names and tables, e.g. crema_d, or my_package.module:NAME; see docs/corpora.md"
    )
    use: list[Literal["pretrain", "finetune"]] = Field(
        description="pretrain: for pseudo-labels and pre-training; finetune: its labels are learnt and tested"
    )
    parts: list[str] = Field([], description="parts of the corpus, e.g. [speech, song]; []: the reader's first")
    table: Annotated[str | None, Location()] = Field(
        None,
        description="reader folder: CSV or Parquet of clips: path, speaker, labels, fold, start_s, end_s; reader"
        " emobox: EmoBox's folder of the corpus",
    )
    outside: bool = Field(False, description="true: paths in `table` may lead out of `path`, to media files anywhere")
    video: bool = Field(
        True, description="false: the pictures are not read; no landmarks, and no stage that needs them"
    )
    audio: bool = Field(
        True,
        description="false: the sound is not read; labels of faces only, no speech features, no training on these"
        " clips",
    )
    segment: bool = Field(False, description="true: the files are long recordings, to be cut into clips; see `segment`")
    shards: Count = Field(1, le=10_000, description="number of parallel pieces; about one for 200 clips")
    targets: list[Name] = Field(
        [],
        description="labels to learn, e.g. [voice, voice-multi_label, voice-distribution, voice-smoothed,"
        " arousal+valence]; []: the reader's first",
    )
    ties: Literal["drop", "acted"] = Field(
        "drop", description="tied votes; drop: no label; acted: the acted emotion if it is among the winners"
    )
    label_map: Annotated[str | dict[str, str | None] | None, Location(only=(".yaml", ".yml"))] = Field(
        None,
        description="new name of each label (null: the label is dropped); or the name of a shipped map; or a YAML file",
    )
    protocol: ProtocolOptions = ProtocolOptions()
    speakers: list[Name] | None = Field(None, description="only these speakers; null: all")
    speaker_folder: int | None = Field(
        None,
        description="reader folder: position of the speaker's folder in a path: 1 outermost, -1 innermost, 0"
        " none; null: from the folders' names",
    )
    features: Annotated[dict[str, str], Location(nested=True)] = Field(
        {}, description="your per-frame features: name: folder of Parquet files with clip_id, time_s, values"
    )
    transcripts: Annotated[str | None, Location()] = Field(
        None,
        description="CSV or Parquet of `clip_id` and `text`: spoken words for `phones`, if file names do not give them",
    )
    truth: Annotated[str | None, Location(watched=True)] = Field(
        None, description="folder of the true values, to score the stages; demo only"
    )
    synthetic: bool = Field(False, description="true: the first line of the report marks the corpus as synthetic")

    @model_validator(mode="after")
    def _silent_faces_are_labelled_alone(self) -> Self:
        if not self.audio and not self.video:
            raise ValueError("audio: false and video: false leave nothing to read: set one of them to true")
        if not self.audio and "finetune" in self.use:
            raise ValueError(
                "audio: false: fine-tuning learns from speech: set use: [pretrain] for labels of faces alone, or"
                " audio: true if the files have sound"
            )
        return self

    def ablated(self, targets: list[str]) -> "CorpusOptions":
        """Return these options with other targets; with none, as they are."""
        return self.model_copy(update={"targets": targets}) if targets else self

    @property
    def clips_stage(self) -> str:
        """Return the stage whose shards list the clips: `segment` where recordings are cut into clips, else `index`."""
        return "segment" if self.segment else "index"


TESTED_AGAIN = ("of", "use", "targets", "ties", "label_map", "protocol")
"""The options that a corpus with the clips of another has of its own."""


def with_clips_of_others(corpora: dict[str, Any]) -> dict[str, Any]:
    """Return the corpora of a configuration file, those with `of` completed by the options of whose clips they have.

    What is no group of options stays, for the checks of types.

    Raises
    ------
    ValueError
        `of` names no corpus with clips of its own, or an option is of the clips.
    """
    return {name: _completed(name, own, corpora) for name, own in corpora.items()}


def _completed(name: str, own: Any, corpora: dict[str, Any]) -> Any:
    if not isinstance(own, dict) or not isinstance(own.get("of"), str):
        return own  # its own, or refused for its type
    others = {other: said for other, said in corpora.items() if isinstance(said, dict) and said.get("of") is None}
    if own["of"] not in others:
        raise ValueError(
            f"corpora.{name}.of: {own['of']!r} is no corpus with clips of its own; these are"
            f" {', '.join(others) or 'none'}{nearest(own['of'], others)}"
        )
    source = {key: value for key, value in others[own["of"]].items() if key not in TESTED_AGAIN}
    for key, value in own.items():
        if key in CorpusOptions.model_fields and key not in TESTED_AGAIN and value != source.get(key):
            raise ValueError(
                f"corpora.{name}.{key}: its clips are those of {own['of']}: set it there; own options are"
                f" {', '.join(TESTED_AGAIN)}"
            )
    use = own.get("use")
    if isinstance(use, list) and "pretrain" in use:
        raise ValueError(
            f"corpora.{name}.use: pretrain: its clips are pre-trained on as those of {own['of']}: set it there"
        )
    return {**source, "use": ["finetune"], **own}

"""Options of a corpus: where it lies, how it is read, which of its labels are learnt, on which folds."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from avpretext.names import nfc
from avpretext.options.base import Count, Location, Options

Name = Annotated[str, AfterValidator(nfc)]
"""A name as tables and folders of the corpus have it, in the one Unicode form that both are read in."""

ProtocolName = Literal[
    "speaker_kfold", "leave_one_speaker_out", "speakers", "partitions", "cross_corpus", "chou", "hicmae", "emobox"
]


class ProtocolOptions(Options):
    """Which clips train, choose the epoch and test."""

    name: ProtocolName = Field(
        "speaker_kfold",
        description="speaker_kfold, leave_one_speaker_out; speakers: `test_speakers`; partitions: the corpus's own;"
        " cross_corpus: trained on `train`; published: chou, hicmae, emobox",
    )
    folds: int = Field(4, ge=3, description="speaker_kfold: number of folds")
    test_speakers: list[list[Name]] | None = Field(
        None, description='speakers: the test speakers of each fold, e.g. [["01", "11"], ["04", "10"]]'
    )
    dev_speakers: Count = Field(
        2, description="this many training speakers, drawn by seed, are dev, where the protocol names none"
    )
    test_partitions: list[Name] | None = Field(
        None, description="partitions: those that test, e.g. [Test1]; null: every one that is named test"
    )
    lists: Annotated[str | None, Location()] = Field(
        None, description="emobox: folder with EmoBox's lists of a corpus; null: as published"
    )
    train: list[str] = Field([], description="cross_corpus: names of the corpora that are trained on")
    allow_speaker_leaks: bool = Field(
        False, description="true: a speaker may be in train and test; only to compare with published splits that do so"
    )
    duplicates: Literal["drop", "error"] = Field(
        "drop", description="clips of train or dev whose audio is in test too: left out, or the run stops"
    )
    reencoded: bool = Field(
        True, description="true: re-encoded copies, told by their sound, are duplicates too; false: equal samples alone"
    )


class CorpusOptions(Options):
    """One corpus: where it lies, how it is read, what it is used for."""

    path: Annotated[str, Location()] = Field(description="folder of the corpus, as it was downloaded")
    reader: str = Field("folder", description="how names and tables are read, e.g. crema_d, or my_package.module:NAME; docs/corpora.md has all")
    use: list[Literal["pretrain", "finetune"]] = Field(
        description="pretrain: pseudo-labels are derived from it; finetune: its labels are learnt and tested"
    )
    parts: list[str] = Field([], description="which parts of the corpus, e.g. [speech, song]; []: the reader's first")
    table: Annotated[str | None, Location()] = Field(
        None, description="CSV or Parquet of clips: path, speaker, labels, fold, start_s, end_s; reader folder only"
    )
    outside: bool = Field(False, description="true: paths in `table` may lead out of `path`, to any file")
    video: bool = Field(True, description="false: audio only; landmarks and what needs them are left out")
    segment: bool = Field(False, description="true: its files are long recordings, cut into clips; see `segment`")
    shards: Count = Field(1, le=10_000, description="number of pieces worked on in parallel; about one for 200 clips")
    targets: list[Name] = Field(
        [],
        description="labels learnt, e.g. [voice, voice-multi_label, voice-distribution]; []: the reader's first",
    )
    ties: Literal["drop", "acted"] = Field(
        "drop", description="votes that tie: without label, or the acted emotion if it is among the first"
    )
    label_map: Annotated[str | dict[str, str | None] | None, Location(only=(".yaml", ".yml"))] = Field(
        None, description="what each label is learnt as, null: not at all; or the name of a map, or a YAML file"
    )
    protocol: ProtocolOptions = ProtocolOptions()
    speakers: list[Name] | None = Field(None, description="only these speakers; null: all")
    speaker_folder: int | None = Field(
        None,
        description="reader folder: which folder of a path is the speaker: 1 the outermost, -1 the innermost, 0 none;"
        " null: told by the folders' names",
    )
    features: Annotated[dict[str, str], Location(nested=True)] = Field(
        {}, description="per-frame features of your own: name: folder of Parquet files with clip_id, time_s, values"
    )
    transcripts: Annotated[str | None, Location()] = Field(
        None, description="CSV or Parquet of `clip_id` and `text`, for `phones`: what is said, where names do not tell"
    )
    truth: Annotated[str | None, Location(watched=True)] = Field(
        None, description="folder of known truth to score the stages against; demo only"
    )
    synthetic: bool = Field(False, description="true: the report says on its first line that this is no real corpus")

    def ablated(self, targets: list[str]) -> "CorpusOptions":
        """Return these options with other targets; with none, as they are."""
        return self.model_copy(update={"targets": targets}) if targets else self

    @property
    def clips_stage(self) -> str:
        """Return the stage whose shards list the clips: `segment` where recordings are cut into clips, else `index`."""
        return "segment" if self.segment else "index"

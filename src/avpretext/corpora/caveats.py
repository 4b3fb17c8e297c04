"""What a reader of results must be told of the speakers and labels that they rest on, in words.

Everything here is a pure function of clips: `corpus`, `clip_id`, `speaker`, `known` (whether the speaker is), and of
their classes: `corpus`, `clip_id`, `class`.
"""

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from avpretext.corpora.speaker_folders import CONFIGURED, SpeakerFolder
from avpretext.names import alike, quoted

ALIKE = "differ only in case, white space, zeros or Unicode form"
"""What `names.alike` finds."""


@dataclass(frozen=True)
class OneLabel:
    """All speakers have one label each: folders of labels look so, and patients with their diagnoses.

    Attributes
    ----------
    speakers, classes
        How many there are.
    example
        A speaker, and the label.
    """

    speakers: int
    classes: int
    example: tuple[str, str]

    @property
    def one_to_one(self) -> bool:
        """Whether speakers and labels stand for each other, so that folds test what they never taught."""
        return self.speakers == self.classes

    def __str__(self) -> str:
        speaker, label = self.example
        others = " and each label one speaker" if self.one_to_one else ""
        return (
            f"each of the {self.speakers} speakers has one label only{others}, such as {speaker!r}: {label!r}; names of"
            " labels may have been taken for those of people"
        )


def one_label(clips: pl.DataFrame, labels: pl.DataFrame) -> OneLabel | None:
    """Return that every speaker has a single label; None where any has several, or too little is known to say so."""
    of_clip = clips.filter("known").join(labels, on=["corpus", "clip_id"])
    of_speaker = of_clip.group_by("speaker").agg(pl.col("class").unique(), pl.col("clip_id").n_unique().alias("clips"))
    classes = of_clip["class"].n_unique()
    if (
        len(of_speaker) < 2
        or classes < 2
        or (of_speaker["class"].list.len() > 1).any()
        or of_speaker["clips"].max() == 1
    ):
        return None
    first = of_speaker.sort("speaker").row(0, named=True)
    return OneLabel(len(of_speaker), classes, (first["speaker"], first["class"][0]))


def alike_speakers(speakers: Collection[str | None]) -> list[str]:
    """Return that names of speakers are nearly equal, as sentences."""
    found = alike(speakers)
    return [f"names of speakers {ALIKE} and count as different people: {quoted(found)}"] if found else []


def alike_labels(classes: Collection[str]) -> list[str]:
    """Return that names of labels are nearly equal, as sentences."""
    found = alike(classes)
    fix = "join them by corpora.NAME.label_map"
    return [f"labels {ALIKE} and are learnt as different classes: {quoted(found)}; {fix}"] if found else []


def unknown_speakers(unknown: int, clips: int) -> list[str]:
    """Return that speakers are not known, as sentences."""
    if not unknown:
        return []
    return [
        f"speakers unknown: those of {unknown:,} of {clips:,} labelled clips; clips of one file are kept together, each"
        " file counts as a speaker of its own, and training and test may share speakers"
    ]


@dataclass(frozen=True)
class Told:
    """What must be told of the clips of a setting, whatever its folds are.

    Attributes
    ----------
    clips, labels
        See the module's description.
    folder
        Which folder named the speakers; None where they are named otherwise.
    """

    clips: pl.DataFrame
    labels: pl.DataFrame
    folder: SpeakerFolder | None

    @property
    def unknown(self) -> int:
        """Return the number of clips of unknown speaker."""
        return int((~self.clips["known"]).sum())

    @property
    def warnings(self) -> list[str]:
        """What makes figures wrong, as sentences."""
        known = self.clips.filter("known")
        alike = [
            said for corpus in known["corpus"].unique(maintain_order=True)
            for said in alike_speakers(known.filter(pl.col("corpus") == corpus)["speaker"].unique().to_list())
        ]  # fmt: skip
        classes = alike_labels(self.labels["class"].unique().to_list())
        return [*unknown_speakers(self.unknown, len(self.clips)), *alike, *classes, *self._one_label(loud=True)]

    @property
    def notes(self) -> list[str]:
        """What else must be known, as sentences."""
        return self._one_label(loud=False)

    def _one_label(self, loud: bool) -> list[str]:
        """Return that speakers have one label each; loudly where a folder was taken for a person."""
        found = one_label(self.clips, self.labels)
        guessed = self.folder is not None and self.folder.why != CONFIGURED
        return [str(found)] if found is not None and loud == (guessed or found.one_to_one) else []

"""What a check finds in a copy of a corpus: plain facts, without a way to show them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from avpretext.config import CorpusOptions
from avpretext.corpora.findings import Finding
from avpretext.corpora.headers import Lengths
from avpretext.corpora.reader import Published


@dataclass(frozen=True)
class TargetFacts:
    """A label target of the corpus, as its clips here have it.

    Attributes
    ----------
    clips
        How many clips have it.
    counts
        Clips of each class; of votes, by their majority.
    ties
        How many clips' votes tie.
    numbers
        Least, mean and largest value of an attribute.
    problem
        Why it cannot be learnt; None if it can.
    """

    name: str
    kind: str
    clips: int = 0
    counts: Mapping[str, int] | None = None
    ties: int = 0
    numbers: tuple[float, float, float] | None = None
    problem: str | None = None


@dataclass(frozen=True)
class FoldFacts:
    """A partition, or a published protocol: how many of its clips and speakers are here.

    `folds` and `published_speakers` are of a protocol; None for a partition.
    """

    name: str
    clips: int
    speakers: int
    folds: int | None = None
    published_speakers: int | None = None


@dataclass(frozen=True)
class Comparison:
    """A number of this copy beside the published one, in words."""

    words: str
    wrong: bool


@dataclass(frozen=True)
class CorpusCheck:
    """What a copy of a corpus holds.

    Attributes
    ----------
    options, parts, published
        How it was read, the parts chosen, and what is published of it, if anything is.
    media, read
        Number of media files there by extension, and of those that are read.
    clips, size_bytes
        Number of clips, and size of their files.
    lengths
        Hours; None where no header was read.
    speakers
        Clips of each speaker by label of the first target; None stands for unknown speakers and labels.
    targets, partitions, protocols, shared_speakers
        What can be learnt; how the clips are divided, and speakers that are in several partitions.
    comparisons, findings
        Beside what is published; what is wrong or worth knowing.
    sound
        How the clips sound and look that were listened to, in words; empty where none were.
    """

    options: CorpusOptions
    parts: tuple[str, ...]
    published: Published | None
    media: Mapping[str, int]
    read: Mapping[str, int]
    clips: int
    size_bytes: int
    lengths: Lengths | None
    speakers: Mapping[str | None, Counter[str | None]]
    targets: tuple[TargetFacts, ...]
    partitions: tuple[FoldFacts, ...]
    protocols: tuple[FoldFacts, ...]
    shared_speakers: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    findings: tuple[Finding, ...]
    sound: str = ""

    @property
    def wrong(self) -> int:
        """Return the number of things that are wrong."""
        return sum(finding.wrong for finding in self.findings)

"""What two corpora of one run share: people of equal names, recordings under other names."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from avpretext.config import CorpusOptions
from avpretext.corpora.facts import Finding
from avpretext.corpora.leaks import equal_names
from avpretext.corpora.listening import Heard, Listened, listen
from avpretext.corpora.reader import Clip
from avpretext.corpora.recordings import copies
from avpretext.corpora.scan import scan

EXAMPLES = 3


def shared(
    options: CorpusOptions,
    speakers: Iterable[str | None],
    heard: Sequence[Heard],
    others: Sequence[CorpusOptions],
    listened: Listened,
) -> list[Finding]:
    """Return what a corpus shares with each of the others.

    Parameters
    ----------
    options, speakers, heard
        Of the corpus: how it is read, who speaks, what was heard of it.
    others
        How the others are read.
    listened
        Which of their clips are listened to.
    """
    found = []
    for other in others:
        clips: dict[str, list[Clip]] = defaultdict(list)
        for file in scan(other):
            if file.clip is not None:
                clips[file.path].append(file.clip)
        theirs = {clip.speaker for some in clips.values() for clip in some}
        found += _people(options, speakers, other, theirs)
        found += _recordings(heard, other, listen(Path(other.path), clips, listened, None))
    return found


def _people(
    options: CorpusOptions, ours: Iterable[str | None], other: CorpusOptions, theirs: Iterable[str | None]
) -> list[Finding]:
    both = (("this corpus", ours), (other.path, theirs))
    rows = [(corpus, name, True) for corpus, names in both for name in names if name is not None]
    named = pl.DataFrame(rows, {"corpus": pl.String, "speaker": pl.String, "known": pl.Boolean}, orient="row")
    told = equal_names(named, "this corpus", {"this corpus": options.reader, other.path: other.reader})
    fix = "leave them out of one corpus by corpora.NAME.speakers, or give different people different names"
    return [Finding("same_people", text.partition(":")[0], fix, 0, (), wrong=False) for text in told]


def _recordings(heard: Sequence[Heard], other: CorpusOptions, theirs: Sequence[Heard]) -> list[Finding]:
    every = [*heard, *theirs]
    pairs = [pair for pair in copies([clip.fingerprint for clip in every]) if pair[0] < len(heard) <= pair[1]]
    if not pairs:
        return []
    meaning = f"pairs of clips hold the same recording in this corpus and in {other.path} (of those listened to)"
    examples = tuple(f"{every[first].path} is {every[second].path}" for first, second, _ in pairs[:EXAMPLES])
    fix = "keep one of each; folds keep them apart (protocol.duplicates), and pre-training hears both"
    return [Finding("copies", meaning, fix, len(pairs), examples, wrong=False)]

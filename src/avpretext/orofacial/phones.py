"""Stage `phones`: from when to when each phone of a clip is spoken, and which viseme it is, by one of four backends.

`align` finds the times of known words; `recognise` finds phones without the words; `import` reads the files of another
tool; `truth` reads the truth of the demo corpus.
"""

from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import soundfile
from numpy.typing import NDArray

from avpretext import shards
from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.config import CorpusOptions, PhoneOptions
from avpretext.corpora.transcripts import transcripts_of
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.orofacial import phone_files, visemes
from avpretext.orofacial.phone_aligner import Dictionary, Word, align, recognise
from avpretext.orofacial.phone_files import SILENCES, Label
from avpretext.orofacial.visemes import Interval, clip_confidence, covering
from avpretext.progress import progress
from avpretext.refusal import Refusal, reject_row
from avpretext.sound.audio_shards import EncodedClip, read_clips
from avpretext.writing import label_of

TRUTH = "phonemes.parquet"
"""The table of true phonemes of a corpus with known truth."""


class Heard(NamedTuple):
    """A clip, its media file relative to the corpus, and its words if they are known."""

    clip_id: str
    signal: NDArray[np.int16]
    path: str
    text: str | None


Finder = Callable[[Heard], list[Interval] | Refusal]
"""From a clip to its phones, or why it has none; they need not cover it yet."""


def run(audio: Path, index: Path, corpus: CorpusOptions, options: PhoneOptions, output: Path, rejects: Path) -> None:
    """Find the phones of one shard.

    It is an error if a table, a dictionary or a folder is missing or wrong, or if the corpus has no truth.

    Parameters
    ----------
    audio
        The shard's `split.audio`.
    index
        The shard's `index`: paths and sentences.
    output
        `phones`: the intervals of a clip follow each other from 0 to its end.
    rejects
        `rejects`: clips without phones.
    """
    table, find = visemes.read_table(options.visemes), finder(corpus, options)
    clips = shards.read(index, ["clip_id", "path", "sentence"])
    paths, texts = dict(clips.select("clip_id", "path").iter_rows()), transcripts_of(corpus, clips)
    made_by = provenance("phones", options.model_dump(), pocketsphinx=version("pocketsphinx"))
    label = label_of("phones", output)
    with (
        shards.ShardWriter(output, schema_of("phones"), made_by) as writer,
        shards.ShardWriter(rejects, schema_of("rejects"), made_by) as refused,
    ):
        for clip in progress(read_clips(audio), total=shards.count_rows(audio), unit="clips", label=label):
            path = paths.get(clip.clip_id)
            found = _intervals(clip, path or "", texts.get(clip.clip_id), find)
            if isinstance(found, Refusal):
                refused.write([reject_row(clip.clip_id, path, "phones", found)])
            else:
                rows = [{"clip_id": clip.clip_id, **one._asdict(), "viseme": table[one.phone]} for one in found]
                writer.write(rows)


def _intervals(clip: EncodedClip, path: str, text: str | None, find: Finder) -> list[Interval] | Refusal:
    """Return the intervals that cover a clip, or why it has none."""
    try:
        signal: NDArray[np.int16] = soundfile.read(pa.BufferReader(clip.encoded), dtype="int16")[0]
    except soundfile.LibsndfileError as error:
        return Refusal("decode_error", str(error))
    found = find(Heard(clip.clip_id, signal, path, text))
    return found if isinstance(found, Refusal) else covering(found, len(signal) / SAMPLE_RATE_HZ)


def finder(corpus: CorpusOptions, options: PhoneOptions) -> Finder:
    """Return the backend: the function from a clip to its phones."""
    if options.backend == "truth":
        return _from_truth(corpus)
    if options.backend == "recognise":
        return lambda clip: recognise(clip.signal)
    words = Dictionary(options.dictionary)
    if options.backend == "align":
        return lambda clip: aligned(clip, words, options.min_confidence)
    files = phone_files.open_folder(options.imports)
    return lambda clip: imported(clip, words, files)


def aligned(clip: Heard, dictionary: Dictionary, min_confidence: float) -> list[Interval] | Refusal:
    """Return the phones of a clip whose words are known."""
    words = dictionary.words_of(clip.text)
    found = words if isinstance(words, Refusal) else align(clip.signal, words, dictionary)
    if isinstance(found, Refusal):
        return found
    intervals = [phone for word in found for phone in word.phones]
    confidence = clip_confidence(intervals) or 0.0
    if confidence < min_confidence:
        return Refusal("no_alignment", f"confidence {confidence:.3f}, phones.min_confidence is {min_confidence:g}")
    return intervals


def imported(clip: Heard, dictionary: Dictionary, files: phone_files.Files) -> list[Interval] | Refusal:
    """Return the phones of a clip from its file; of one that has words alone, phones are aligned within each word."""
    track = phone_files.track_of(files, clip.clip_id, clip.path)
    if isinstance(track, Refusal):
        return track
    if track.kind == "phones":
        return phone_files.to_phones(track.labels)
    said = [label for label in track.labels if label.text.lower() not in SILENCES]
    words = dictionary.words_of(" ".join(label.text for label in said))
    if isinstance(words, Refusal):
        return words
    if len(words) != len(said):
        return Refusal("no_phones", "a label of the file is several words")
    found = align(clip.signal, words, dictionary)
    return found if isinstance(found, Refusal) else list(_within(found, said))


def _within(found: list[Word], said: list[Label]) -> Iterator[Interval]:
    """Yield the phones of aligned words, stretched over the times that a file has for these words."""
    spoken = [word for word in found if any(phone.phone != visemes.SILENCE for phone in word.phones)]
    for word, label in zip(spoken, said, strict=True):
        start, end = word.phones[0].start_s, word.phones[-1].end_s
        factor = (label.end_s - label.start_s) / (end - start)
        for phone in word.phones:
            first, last = (label.start_s + (time - start) * factor for time in (phone.start_s, phone.end_s))
            yield phone._replace(start_s=first, end_s=last)


def _from_truth(corpus: CorpusOptions) -> Finder:
    if corpus.truth is None:
        raise UserError("phones.backend = 'truth': only corpora with corpora.NAME.truth, the demo's, know their phones")
    rows = shards.read(Path(corpus.truth) / TRUTH, ["clip_id", "start_s", "end_s", "phoneme"])
    known = rows.partition_by("clip_id", as_dict=True, include_key=False)

    def find(clip: Heard) -> list[Interval] | Refusal:
        phonemes = known.get((clip.clip_id,), pl.DataFrame())
        if phonemes.is_empty():
            return Refusal("no_phones", f"the clip is not in {TRUTH}")
        return phone_files.to_phones(Label(*row) for row in phonemes.iter_rows())

    return find

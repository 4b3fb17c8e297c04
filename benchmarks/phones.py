"""Speed of `phones` on one core, its memory, and what it gets right: the figures of benchmarks/phones.md.

python benchmarks/phones.py EVERY [RAVDESS_FOLDER] > figures.txt; EVERY 10: every tenth clip, half as many of RAVDESS

Processor time is measured, not the clock: the stage works on one core. The demo must have been run.
"""

import resource
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl
import soundfile
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config_file import load
from avpretext.corpora.readers import ravdess
from avpretext.corpora.transcripts import transcripts_of
from avpretext.flow.paths import Layout, expand
from avpretext.orofacial.phone_aligner import Dictionary, align, recognise
from avpretext.orofacial.phone_scores import scores
from avpretext.orofacial.visemes import clip_confidence
from avpretext.refusal import Refusal
from avpretext.sound.audio_shards import decode, read_clips

Samples = NDArray[np.int16]
Clip = tuple[Samples, list[str]]
STOPS_S = 0.03
"""espeak-ng is silent for so long before what it marks as the start of t, k or p: their closure."""


def demo_clips(dictionary: Dictionary) -> Iterator[Clip]:
    """Yield signal and words of the demo's clips."""
    config = load(Path("config.yaml"))
    for name, corpus in config.corpora.items():
        layout = Layout(config.results)
        for shard in range(corpus.shards):
            index = shards.read(layout.path("index", corpus=name, shard=shard), ["clip_id", "sentence"])
            texts = transcripts_of(corpus, index)
            for clip in read_clips(Path(layout.path("split.audio", corpus=name, shard=shard))):
                words = dictionary.words_of(texts.get(clip.clip_id))
                if not isinstance(words, Refusal):
                    yield (32767 * decode(clip)).astype(np.int16), words


def ravdess_clips(folder: Path, every: int, dictionary: Dictionary) -> Iterator[Clip]:
    """Yield signal and words of real clips."""
    for file in sorted(folder.glob("*.flac"))[::every]:
        clip = ravdess.read(file.name)
        words = dictionary.words_of(ravdess.READER.words(clip.sentence or "")) if clip else []
        if not isinstance(words, Refusal):
            yield soundfile.read(file, dtype="int16")[0], words


def speed(clips: list[Clip], work: Callable[[Samples, list[str]], object]) -> float:
    """Return seconds of sound worked on in a second of processor time."""
    seconds, began = sum(len(signal) for signal, _ in clips) / 16000, time.process_time()
    for signal, words in clips:
        work(signal, words)
    return seconds / (time.process_time() - began)


def show_fit(name: str, clips: list[Clip], others: list[list[str]], dictionary: Dictionary) -> None:
    """Print how many clips align to their own words and to others, and the confidences."""
    rng = np.random.default_rng(1)
    for kind in ("own", "other"):
        found = []
        for signal, words in clips:
            foreign = [one for one in others if set(one) != set(words)]
            said = words if kind == "own" else foreign[rng.integers(len(foreign))]
            aligned = align(signal, said, dictionary)
            if not isinstance(aligned, Refusal):
                found.append(clip_confidence([phone for word in aligned for phone in word.phones]) or 0.0)
        spread = " ".join(f"{value:.3f}" for value in np.quantile(found, [0, 0.05, 0.5, 0.95, 1])) if found else ""
        print(f"{name}: {kind} words: {len(found)} of {len(clips)} align; confidence min, 5, 50, 95 %, max: {spread}")


def show_truth() -> None:
    """Print the scores of the stage's shards on the demo, by class, and with the closures of stops."""
    config = load(Path("config.yaml"))
    layout = Layout(config.results)
    true = shards.read("data/demo/truth/phonemes.parquet").drop("corpus")
    stops = pl.col("phoneme").is_in(["t", "k", "p"])
    shifted = true.sort("clip_id", "start_s").with_columns(
        start_s=pl.col("start_s") - pl.when(stops).then(STOPS_S).otherwise(0.0),
        end_s=pl.col("end_s") - pl.when(stops.shift(-1).over("clip_id").fill_null(False)).then(STOPS_S).otherwise(0.0),
    )
    for name, corpus in config.corpora.items():
        found = shards.read(expand(f"{Path(layout.path('phones', corpus=name, shard=0)).parent}@{corpus.shards}"))
        clips = sum(shards.count_rows(layout.path("split.audio", corpus=name, shard=k)) for k in range(corpus.shards))
        for kind, known in (("as espeak-ng marks them", true), ("with closures", shifted)):
            print(name, kind, {key: round(value, 3) for key, value in scores(found, known, clips).items()})


if __name__ == "__main__":
    dictionary = Dictionary()
    sets = {"demo": list(islice(demo_clips(dictionary), 0, None, int(sys.argv[1])))}
    if len(sys.argv) > 2:
        sets["ravdess"] = list(ravdess_clips(Path(sys.argv[2]), 2 * int(sys.argv[1]), dictionary))
    for name, clips in sets.items():
        aligned = speed(clips, lambda signal, words: align(signal, words, dictionary))
        recognised = speed(clips[::4], lambda signal, words: recognise(signal))
        print(f"{name}: {len(clips)} clips; align {aligned:.1f}, recognise {recognised:.1f} times real time")
        show_fit(name, clips, [words for _, words in sets["demo"]], dictionary)
    short = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    long_signal, words = (np.tile(sets["demo"][0][0], 80)[: 120 * 16000], sets["demo"][0][1] * 60)
    align(long_signal, words, dictionary)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory: {short:.0f} MB; with a clip of {len(long_signal) / 16000:.0f} s {peak:.0f} MB")
    show_truth()

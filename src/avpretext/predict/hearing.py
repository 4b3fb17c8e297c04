"""From files to the input of the networks: sound, features, chunks; of clips whole, of recordings by windows."""

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avpretext.chunks import FRAME_S, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from avpretext.config import LogMelOptions, MediaOptions
from avpretext.errors import UserError
from avpretext.media import ffmpeg
from avpretext.media.sound import listen
from avpretext.media.trim import speech_span
from avpretext.models.chunking import ChunkGrid, Chunks, gather_chunks
from avpretext.pool import ordered_map
from avpretext.predict.speech_share import spoken
from avpretext.predict.tuned_encoder import TunedEncoder, tuned_encoders
from avpretext.predict.windows import AlongTime, WindowBatch, batches, live_windows
from avpretext.refusal import Refusal
from avpretext.sound import encoder_live
from avpretext.sound.encoder_live import LiveEncoder
from avpretext.sound.live import SCALE, LiveFeatures, Part, Samples, parts
from avpretext.sound.mel_power import MelPower
from avpretext.training.data import chunk_grid, moments_of
from avpretext.training.model_folder import ENCODER, ClusterDescription, Description

LONGEST_S = 86_400.0
"""A recording that is heard along time may last a day: a few kilobytes can declare any length."""

BATCH = 64
"""Windows that are cut into chunks at a time."""

Source = str | os.PathLike[str]
Floats = NDArray[np.float32]
Moments = NDArray[np.float64]
"""(3, 1, F): number, sum and sum of squares of the frames that were heard; see `data.SpeechChunks`."""


class Heard(NamedTuple):
    """Chunks of N windows of a file, in the units of the features; (N,) seconds of their starts and ends.

    `speech` (N,) is the share of each in which somebody speaks, 0..1.
    """

    chunks: Chunks
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    speech: Floats


class Hearing:
    """Reads files as the clips were read that a model was trained on; may be called from several threads."""

    def __init__(self, description: Description) -> None:
        self.grid = chunk_grid(description.chunks, description.model.step_frames)
        self.channels = len(description.channels)
        self._options = MediaOptions(**description.media.model_dump())
        self._along = self._options.model_copy(update={"max_duration_s": LONGEST_S})
        self._program = ffmpeg.program(self._options.ffmpeg)
        whole = description.encoder is not None or description.deepemocluster is not None
        per_frame = [] if whole else description.channels
        self._features = LiveFeatures(description.speech, description.log_mel, per_frame)

    def close(self) -> None:
        """Remove temporary files."""
        self._features.close()

    def no_moments(self) -> Moments:
        """Return the moments of nothing heard yet."""
        return np.zeros((3, 1, self.channels))

    @property
    def shortest_frames(self) -> int:
        """The frames that a window must have: with the published formula, those of a chunk."""
        return self.grid.length if self.grid.method == "published" else 1

    def clip(self, source: Source, moments: Moments | None = None) -> Heard | Refusal:
        """Hear a file whole; silence at its ends is left out if it was in training."""
        found = self._sound(source)
        if isinstance(found, Refusal):
            return found
        samples, start = found
        frames = np.concatenate([self._frames(part) for part in parts([samples])])
        if (refusal := self._too_short(frames)) is not None:
            return refusal
        self._count(frames, moments)
        whole = np.array([0]), np.array([len(frames)])
        begin_s, end_s = start / SAMPLE_RATE_HZ, (start + len(samples)) / SAMPLE_RATE_HZ
        chunks = self._chunks_of_clip(samples, frames, moments)
        return Heard(chunks, np.array([begin_s]), np.array([end_s]), _speech(frames, *whole))

    def frames(self, source: Source) -> Floats | Refusal:
        """Return the features of the frames of a file heard whole, (T, F), in their units."""
        found = self._sound(source)
        if isinstance(found, Refusal):
            return found
        frames = np.concatenate([self._features.of(part) for part in parts([found[0]])])
        return self._too_short(frames) or frames

    def cut(self, frames: Floats) -> Chunks:
        """Return the chunks of a clip, (1, K, m, F), from the features of its frames (T, F)."""
        return self._gathered(frames, np.array([0]), np.array([len(frames)]))

    def _sound(self, source: Source) -> tuple[Samples, int] | Refusal:
        """Return the samples of a file heard whole, and which of its samples is the first of them."""
        found = _collected(listen(Path(source), self._program, self._options))
        if isinstance(found, Refusal):
            too_long = "; hear it along time, by windows" if found.reason == "too_long" else ""
            return Refusal(found.reason, found.detail + too_long)
        return self._trimmed(found)

    def _too_short(self, frames: Floats) -> Refusal | None:
        """Return why a clip of so few frames is refused; None: it is not."""
        if len(frames) >= self.shortest_frames:
            return None
        needed_s = self.shortest_frames * FRAME_S
        return Refusal("too_short", f"{len(frames) * FRAME_S:.2f} s; chunks.method: published needs {needed_s:g} s")

    def _frames(self, part: Part) -> Floats:
        """Return features of the frames of a part, and in a last column whether somebody speaks: (T, F + 1)."""
        return np.concatenate([self._features.of(part), spoken(part)[:, None]], axis=1)

    def _trimmed(self, samples: Samples) -> tuple[Samples, int]:
        """Return the samples without the silence at their ends, as `split` does it, and which is the first of them."""
        if self._options.trim_db is None:
            return samples, 0
        span = speech_span(samples, self._options.trim_db, self._options.fps, self._options.min_duration_s)
        return samples[span.start : span.stop], span.start

    def along(
        self, source: Source, along: AlongTime, threads: int, moments: Moments | None = None
    ) -> Iterator[Heard | Refusal]:
        """Yield the windows of a file while it is heard, at the end why it is refused after all, if it is."""
        ended: list[Refusal | None] = []

        def sound() -> Iterator[Samples]:
            ended.append((yield from listen(Path(source), self._program, self._along)))

        def features() -> Iterator[Floats]:
            for frames in ordered_map(self._frames, parts(sound()), threads):
                self._count(frames, moments)
                yield frames

        for batch in batches(features(), along, self._least_frames):
            yield from self._windows(batch, threads, moments)
        if ended[0] is not None:
            yield ended[0]

    def live(self, blocks: Iterable[Samples], along: AlongTime) -> Iterator[Heard | Refusal]:
        """Yield the windows of sound that goes on, 16 kHz mono, each as soon as it is complete.

        Features are made of the window and what came before it; `along` knows what comes after it too.
        """
        end = 0
        for start, part in live_windows(blocks, along, self._least_frames):
            frames, end = self._frames(part), start + part.stop - part.first
            window = WindowBatch(frames, np.array([0]), np.array([len(frames)]), np.array([start]))
            yield from self._windows(window, 1, None)
        if end == 0:
            yield Refusal("empty_file", "less than 10 ms of sound")
        elif end * FRAME_S < self._options.min_duration_s:
            yield Refusal("too_short", f"{end * FRAME_S:.2f} s")

    @property
    def _least_frames(self) -> int:
        """The frames that the last window must have, if it is shorter than the others."""
        return max(self.shortest_frames, round(self._options.min_duration_s / FRAME_S))

    def _windows(self, batch: WindowBatch, threads: int, moments: Moments | None) -> Iterator[Heard]:
        for place in range(0, len(batch.first), BATCH):
            some = WindowBatch(batch.frames, *(part[place : place + BATCH] for part in batch[1:]))
            starts, ends = _seconds(some.start), _seconds(some.start + some.lengths)
            speech = _speech(some.frames, some.first, some.lengths)
            yield Heard(self._chunks(some, threads, moments), starts, ends, speech)

    def _chunks(self, windows: WindowBatch, threads: int, moments: Moments | None) -> Chunks:
        """Return the chunks of windows of frames (T, F + 1); `moments` are of frames, and counted there."""
        return self._gathered(windows.frames[:, :-1], windows.first, windows.lengths)

    def _chunks_of_clip(self, samples: Samples, frames: Floats, moments: Moments | None) -> Chunks:
        """Return the chunks of a clip, (1, K, m, F)."""
        return self.cut(frames[:, :-1])

    def _gathered(self, features: Floats, first: NDArray[np.int64], lengths: NDArray[np.int64]) -> Chunks:
        rows = torch.from_numpy(features)
        return gather_chunks(rows, torch.from_numpy(first), torch.from_numpy(lengths), self.grid)

    def _count(self, frames: Floats, moments: Moments | None) -> None:
        """Add the features of frames to the moments, where they are asked for."""
        if moments is not None:
            moments += moments_of(frames[:, :-1], np.array([0]))


class Steps(NamedTuple):
    """Of a clip or window: its chunks, (K, m, F) or (K, L, F), and the rows (T, F) or (K, L F) to normalise by."""

    chunks: Floats
    counted: Floats


class SampleHearing(Hearing, ABC):
    """Hears files whose frames are the samples themselves: features are those of a clip or window as a whole."""

    @abstractmethod
    def steps(self, signal: Floats) -> Steps:
        """Return the features of a clip or window (samples,), full scale 1."""

    def _frames(self, part: Part) -> Floats:
        """Return the samples of each frame of a part, and whether somebody speaks: (T, 161)."""
        stretch = part.samples[part.first * SAMPLES_PER_FRAME : part.stop * SAMPLES_PER_FRAME]
        whole = np.pad(stretch, (0, (part.stop - part.first) * SAMPLES_PER_FRAME - len(stretch)))
        samples = whole.reshape(-1, SAMPLES_PER_FRAME).astype(np.float32) * SCALE
        return np.concatenate([samples, spoken(part)[:, None]], axis=1)

    def _chunks(self, windows: WindowBatch, threads: int, moments: Moments | None) -> Chunks:
        places = zip(windows.first, windows.lengths, strict=True)
        signals = [windows.frames[first : first + length, :-1].ravel() for first, length in places]
        return self._stacked(list(ordered_map(self.steps, signals, threads)), moments)

    def _chunks_of_clip(self, samples: Samples, frames: Floats, moments: Moments | None) -> Chunks:
        return self._stacked([self.steps(samples.astype(np.float32) * SCALE)], moments)

    def _stacked(self, windows: Sequence[Steps], moments: Moments | None) -> Chunks:
        if moments is not None:
            for window in windows:
                moments += moments_of(window.counted, np.array([0]))
        chunks = torch.from_numpy(np.stack([window.chunks for window in windows]))
        return Chunks(chunks, torch.ones(chunks.shape[:3], dtype=torch.bool))

    def _count(self, frames: Floats, moments: Moments | None) -> None:
        """Frames are samples here: what is made of them is counted."""


class EncoderHearing(SampleHearing):
    """Hears files by a pre-trained encoder, window by window."""

    def __init__(self, description: Description, encoder: LiveEncoder) -> None:
        super().__init__(description)
        self.channels = len(description.channels) * description.layers
        self._encoder = encoder

    def steps(self, signal: Floats) -> Steps:
        """Return the vectors of the chunks, layer by layer."""
        vectors = self._encoder.vectors(signal)
        return Steps(vectors, vectors.reshape(len(vectors), -1))


class TunedHearing(SampleHearing):
    """Hears files by a pre-trained encoder that has learnt: as each network of a model does, one after another.

    The steps of a chunk are the layers of the first network's encoder, of the second's, and so on, normalised.
    """

    def __init__(self, description: Description, encoders: Sequence[TunedEncoder]) -> None:
        super().__init__(description)
        self.channels = len(description.channels) * description.layers * len(encoders)
        self._encoders = encoders

    def steps(self, signal: Floats) -> Steps:
        """Return the vectors of the chunks, layer by layer, network by network."""
        with encoder_live.one_thread():
            steps = np.concatenate([encoder.steps(signal) for encoder in self._encoders], axis=1)
        return Steps(steps, steps.reshape(len(steps), -1))


class ClusterHearing(SampleHearing):
    """Hears files for a published network of DeepEmoCluster: mel power every 16 ms, cut by the published formula."""

    def __init__(self, description: Description, published: ClusterDescription) -> None:
        super().__init__(description)
        self._power = MelPower(description.log_mel or LogMelOptions(), published.hop_samples)
        self._cut = ChunkGrid(published.chunk_frames, published.chunks, method="published")

    def steps(self, signal: Floats) -> Steps:
        """Return the chunks of the spectrogram, and all of its frames."""
        power = self._power.of(signal)
        rows, first, length = torch.from_numpy(power), torch.tensor([0]), torch.tensor([len(power)])
        return Steps(gather_chunks(rows, first, length, self._cut).steps[0].numpy(), power)


def open_hearing(
    description: Description, folder: Path, encoder: Path | None, fronts: Sequence[Mapping[str, Tensor]] = ()
) -> Hearing:
    """Return what hears files for a model.

    Parameters
    ----------
    description
        Of the model.
    folder
        Of the model; the pre-trained encoder that it hears may lie in `encoder` below it.
    encoder
        Folder of the pre-trained encoder, if that is said.
    fronts
        Of a model whose encoder has learnt: its weights, of each network.

    Raises
    ------
    UserError
        The encoder is nowhere, or another one.
    """
    if (by := description.encoder) is None:
        if encoder is not None:
            raise UserError(
                f"--encoder {encoder}: {folder} hears {' and '.join(description.model.features)}, no encoder"
            )
        published = description.deepemocluster
        return Hearing(description) if published is None else ClusterHearing(description, published)
    files = encoder_live.find(by.name, by.kind, by.hub, folder / ENCODER, encoder, by.digests)
    options = by.options.model_copy(update={"layers": by.layers})
    if by.tuning:
        encoders = tuned_encoders(files, options, description.chunks, by.tuning, by.digests, fronts)
        return TunedHearing(description, encoders)
    return EncoderHearing(description, LiveEncoder(files, options, description.chunks, by.digests))


def _collected(sound: Generator[Samples, None, Refusal | None]) -> Samples | Refusal:
    """Return all samples of a file, or why it is refused."""
    blocks: list[Samples] = []
    while True:
        try:
            blocks.append(next(sound))
        except StopIteration as end:
            refusal: Refusal | None = end.value
            return np.concatenate(blocks) if refusal is None else refusal


def _seconds(frames: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return frames as seconds, rounded so that they print as they are meant."""
    return np.round(frames.astype(np.float64) * FRAME_S, 2)


def _speech(frames: Floats, first: NDArray[np.int64], lengths: NDArray[np.int64]) -> Floats:
    """Return the share of the frames of each window in which somebody speaks, from the last column of (T, F + 1)."""
    total = np.concatenate([[0.0], np.cumsum(frames[:, -1], dtype=np.float64)])
    shares: Floats = ((total[first + lengths] - total[first]) / np.maximum(lengths, 1)).astype(np.float32)
    return shares


class Spool:
    """Stores the chunks of files, and returns them in the same order, once."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._entries: list[tuple[int, Refusal | None]] = []

    def put(self, place: int, heard: Heard | Refusal) -> None:
        """Store chunks of the file of this place, or why it is refused."""
        self._entries.append((place, heard if isinstance(heard, Refusal) else None))
        if isinstance(heard, Heard):
            for values in (heard.chunks.steps.numpy(), heard.chunks.mask.numpy(), *heard[1:]):
                np.save(self._file, np.ascontiguousarray(values), allow_pickle=False)

    def take(self) -> Iterator[tuple[int, Heard | Refusal]]:
        """Yield everything that was stored."""
        self._file.seek(0)
        for place, refusal in self._entries:
            if refusal is not None:
                yield place, refusal
                continue
            steps, mask, *rest = (np.load(self._file, allow_pickle=False) for _ in range(5))
            yield place, Heard(Chunks(torch.from_numpy(steps), torch.from_numpy(mask)), *rest)

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

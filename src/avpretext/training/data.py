"""Training data: from the frames of clips to their chunks, which lie on disk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avpretext import shards
from avpretext.chunks import frames_of
from avpretext.config import LAYERS, ChunkOptions, ModelOptions
from avpretext.errors import UserError
from avpretext.models.chunking import ChunkGrid, gather_chunks
from avpretext.training import mapped, pooled
from avpretext.training.frames import FrameStore, matches, read_frames

CLIP = 3.0
"""Normalised input is clipped to plus and minus this many deviations (Lin & Busso)."""

BLOCK_CLIPS = 256
"""Clips whose numbers are added up at a time."""

BLOCK_FRAMES = 20_000
"""Frames that are cut into chunks at a time: with 65 channels 5 MB, and 30 MB where their squares are added up."""


@dataclass(frozen=True)
class EncodedBy:
    """The pre-trained encoder that made pooled features.

    Attributes
    ----------
    name
        In the configuration.
    kind
        Its `model_type`, such as `wavlm`.
    hub
        Its name on the hub; None: it came from a folder.
    layers
        Numbers of the layers, in the order of the steps.
    digests
        SHA-256 of its files.
    options
        `layers`, `pool`, `dtype`, `window_s`, ... as the shards have them.
    """

    name: str
    kind: str
    hub: str | None
    layers: list[int]
    digests: dict[str, str]
    options: dict[str, Any]


@dataclass(frozen=True)
class SpeechChunks:
    """The clips of one or more corpora, cut into chunks.

    Attributes
    ----------
    clip_ids, speakers
        (N,) of each clip.
    channels
        (F,) names of the features.
    steps, mask
        (N, K, m, F) float32 in the units of the features, and (N, K, m); see :mod:`avpretext.models.chunking`. They lie
        on disk, as `moments` do; see :mod:`avpretext.training.mapped`.
    moments
        (3, N, F) float64: number, sum and sum of squares of each clip's frames that are not NaN.
    encoder
        Of pooled features what made them: the steps are its layers, (N, K, L, F), as they are stored, and `moments` has
        the 10 ms frames of each clip alone, (1, N, 1). None of features with steps in time.
    """

    clip_ids: list[str]
    speakers: list[str]
    channels: list[str]
    steps: Tensor
    mask: Tensor
    moments: NDArray[np.float64]
    encoder: EncodedBy | None = None

    def __len__(self) -> int:
        return len(self.clip_ids)

    def take(self, rows: NDArray[np.int64]) -> "SpeechChunks":
        """Return the clips of these rows."""
        return SpeechChunks(
            [self.clip_ids[row] for row in rows],
            [self.speakers[row] for row in rows],
            self.channels,
            torch.from_numpy(mapped.filled(len(rows), (self.steps[block].numpy() for block in blocks(rows)))),
            self.mask[rows],
            self.moments[:, rows],
            self.encoder,
        )

    @property
    def layers(self) -> int:
        """Number of layers that the steps are; 1 of features with steps in time."""
        return 1 if self.encoder is None else len(self.encoder.layers)

    def mean_and_deviation(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and deviation over these clips: (F,) over their frames, of layers (L F,) over their chunks."""
        if self.encoder is None:
            return mean_and_deviation(self._total(rows)[:, None])
        total: NDArray[np.float64] = np.zeros((3, self.steps.shape[2] * self.steps.shape[3]))
        for block in blocks(rows):
            vectors = self.steps[block].flatten(2).flatten(0, 1).double()
            total += np.stack([np.full(total.shape[1], len(vectors)), vectors.sum(0), vectors.square_().sum(0)])
        return mean_and_deviation(total[:, None])

    def _total(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the sum of the moments of these clips, (3, F), added up one after another."""
        total = np.zeros((3, self.moments.shape[2]))
        for block in blocks(rows):
            total = np.concatenate([total[:, None], self.moments[:, block]], axis=1).sum(1)
        return total


def chunk_grid(chunks: ChunkOptions, step_frames: int) -> ChunkGrid:
    """Return the grid of chunks, in 10 ms frames, of which a step is the mean of so many."""
    length = frames_of(chunks.length_s)
    return ChunkGrid(length, chunks.count, chunks.factor, chunks.method, min(step_frames, length))


def hidden_channels(channels: Sequence[str], patterns: Sequence[str]) -> NDArray[np.bool_]:
    """Return (F,) True for the channels that a pattern matches.

    >>> hidden_channels(["pcm_RMSenergy_sma", "F0final_sma"], ["*RMSenergy*"])
    array([ True, False])
    """
    return np.array([matches(name, patterns) for name in channels], dtype=bool)


def load_chunks(
    features: Mapping[str, Sequence[shards.PathLike]],
    speakers: Mapping[str, str],
    patterns: Sequence[str],
    grid: ChunkGrid,
) -> SpeechChunks:
    """Read the clips named in `speakers` from the per-frame features of a corpus and cut them into chunks.

    Clips that are in no shard are left out; see :func:`avpretext.training.frames.read_frames`.
    """
    return cut(read_frames(features, speakers.keys(), patterns), speakers, grid)


def load_corpora(
    features: Mapping[str, Mapping[str, Sequence[shards.PathLike]]],
    speakers: Mapping[str, Mapping[str, str]],
    chunks: ChunkOptions,
    model: ModelOptions,
) -> SpeechChunks:
    """Read and cut the clips of the corpora of `speakers`, in its order; see :func:`load_chunks`, :func:`concatenate`.

    `features` has shards by corpus and name, `speakers` the speaker by corpus and clip_id.
    """
    if model.encoder == LAYERS:
        (name,) = model.features
        read = {corpus: load_pooled(features[corpus][name], known, chunks) for corpus, known in speakers.items()}
        return concatenate(read)
    grid = chunk_grid(chunks, model.step_frames)
    return concatenate(
        {corpus: load_chunks(features[corpus], known, model.channels, grid) for corpus, known in speakers.items()}
    )


def load_pooled(files: Sequence[shards.PathLike], speakers: Mapping[str, str], chunks: ChunkOptions) -> SpeechChunks:
    """Read the clips named in `speakers` from the pooled features of a corpus; see :func:`pooled.read`."""
    found = pooled.read(files, speakers.keys(), chunks)
    said = found.provenance
    encoder = EncodedBy(said["encoder"], said["kind"], said["hub"], said["layers"], said["models"], said["options"])
    return SpeechChunks(
        found.clip_ids,
        [speakers[clip_id] for clip_id in found.clip_ids],
        [f"{encoder.name}[{place}]" for place in range(said["size"])],
        torch.from_numpy(found.values),
        everywhere(found.values.shape[:3]),
        found.frames[None, :, None].astype(np.float64),
        encoder,
    )


def everywhere(shape: Sequence[int]) -> Tensor:
    """Return a mask (N, K, m) that is True everywhere, in no memory."""
    return torch.ones(1, dtype=torch.bool).expand(*shape)


def cut_clips(
    frames: Mapping[str, NDArray[np.float32]], speakers: Mapping[str, str], channels: Sequence[str], grid: ChunkGrid
) -> SpeechChunks:
    """Cut clips that are in memory, (T, F) each, into chunks; see :func:`load_chunks`."""
    return cut(FrameStore.of(frames, channels), speakers, grid)


def cut(store: FrameStore, speakers: Mapping[str, str], grid: ChunkGrid) -> SpeechChunks:
    """Cut all clips of a store into chunks.

    What is held in memory is that of a block of `BLOCK_FRAMES` frames.
    """
    size = (len(store), grid.chunks, grid.steps)
    steps, mask = mapped.empty_tensor((*size, len(store.channels)), "f4"), mapped.empty_tensor(size, "?")
    moments = mapped.empty((3, len(store), len(store.channels)), "f8")
    frames, first, lengths = (torch.from_numpy(part) for part in (store.frames, store.offsets[:-1], store.lengths))
    for rows in store.blocks(BLOCK_FRAMES):
        mask[rows] = gather_chunks(frames, first[rows], lengths[rows], grid, out=steps[rows]).mask
        begin = store.offsets[rows]
        moments[:, rows] = moments_of(store.frames[begin[0] : store.offsets[rows.stop]], begin - begin[0])
    return SpeechChunks(
        store.clip_ids, [speakers[clip_id] for clip_id in store.clip_ids], store.channels, steps, mask, moments
    )


def moments_of(frames: NDArray[np.float32], begin: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return number, sum and sum of squares of the finite frames (T, F) of clips that begin there, (3, clips, F)."""
    finite = np.isfinite(frames)
    values = np.where(finite, frames, 0).astype(np.float64)
    parts = (finite.astype(np.float64), values, np.square(values))
    return np.stack([np.add.reduceat(part, begin, axis=0) for part in parts])


def concatenate(parts: Mapping[str, SpeechChunks]) -> SpeechChunks:
    """Join the clips of several corpora; from then on they are `{corpus}/{clip_id}` of `{corpus}/{speaker}`."""
    first = next(iter(parts.values()))
    for corpus, part in parts.items():
        if part.encoder != first.encoder:
            raise UserError(
                f"the encoder of {corpus} has other weights or options than that of {next(iter(parts))}; redo the stage"
                " encoder of both"
            )
        if part.channels != first.channels:
            raise UserError(
                f"features of {corpus} have other columns than those of {next(iter(parts))}; redo their stages, or"
                " choose by model.channels what both have"
            )
    return SpeechChunks(
        [f"{corpus}/{clip_id}" for corpus, part in parts.items() for clip_id in part.clip_ids],
        [name for corpus, part in parts.items() for name in _prefixed(corpus, part.speakers)],
        first.channels,
        torch.from_numpy(mapped.joined([part.steps.numpy() for part in parts.values()])),
        torch.from_numpy(mapped.joined([part.mask.numpy() for part in parts.values()])),
        mapped.joined([part.moments for part in parts.values()], axis=1),
        first.encoder,
    )


def _prefixed(corpus: str, speakers: Sequence[str]) -> list[str]:
    """Return `{corpus}/{speaker}` of each clip: one string for each speaker, of whom there are few."""
    names = {speaker: f"{corpus}/{speaker}" for speaker in set(speakers)}
    return [names[speaker] for speaker in speakers]


def mean_and_deviation(moments: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (F,) mean and deviation over all frames of these clips, from their moments (3, N, F).

    A channel that is constant, or nowhere finite, gets deviation 1, so that it normalises to zero.
    """
    number, total, squares = moments.sum(1)
    mean = total / np.maximum(number, 1)
    variance = squares / np.maximum(number, 1) - np.square(mean)
    # Below this share of the mean square the difference is rounding error.
    constant = variance <= 1e-10 * np.maximum(squares / np.maximum(number, 1), 1e-30)
    return mean, np.where(constant, 1.0, np.sqrt(np.maximum(variance, 1e-30)))


def blocks(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return rows in blocks of `BLOCK_CLIPS`."""
    return np.array_split(rows, max(1, -(-len(rows) // BLOCK_CLIPS)))


def in_deviations(steps: Tensor, mean: NDArray[np.float64] | Tensor, deviation: NDArray[np.float64] | Tensor) -> Tensor:
    """Change float32 steps (..., F) in place to deviations from the mean (F,): NaN 0, clipped to plus and minus 3.

    Where the steps are layers, (..., L, F), mean and deviation are (L F,).
    """
    return standardise(steps, *(part.to(steps.device) for part in scales(mean, deviation, steps.shape[-1])))


def scales(
    mean: NDArray[np.float64] | Tensor, deviation: NDArray[np.float64] | Tensor, features: int
) -> tuple[Tensor, Tensor]:
    """Return mean and 1 / deviation as float32, (1, features), or (L, features) of L layers."""
    mean, scale = (torch.as_tensor(values).float().reshape(-1, features) for values in (mean, 1 / deviation))
    return mean, scale


def standardise(steps: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    """Change float32 steps in place to (steps - mean) * scale, of shapes that fit: NaN 0, clipped at `CLIP`."""
    return steps.sub_(mean).mul_(scale).nan_to_num_(0.0).clamp_(-CLIP, CLIP)


def rows_of(speakers: Sequence[str], chosen: Sequence[str]) -> NDArray[np.int64]:
    """Return the rows of the clips of the chosen speakers, ascending."""
    return np.flatnonzero(np.isin(np.array(speakers), np.array(chosen)))

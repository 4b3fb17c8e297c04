"""Training data: from frames to chunks in memory, and from there to normalised input."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avpretext import shards
from avpretext.chunks import frames_of
from avpretext.config import LAYERS, ChunkOptions, ModelOptions
from avpretext.errors import UserError
from avpretext.flow.paths import original_of
from avpretext.models.chunking import ChunkGrid, gather_chunks
from avpretext.training import pooled
from avpretext.training.frames import FrameStore, matches, read_frames

CLIP = 3.0
"""Normalised input is clipped to plus and minus this many deviations (Lin & Busso)."""

BLOCK_CLIPS = 256
"""Clips that are normalised at a time."""

BLOCK_FRAMES = 100_000
"""Frames that are cut into chunks at a time: with 65 channels 26 MB."""


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
        (N, K, m, F) float32 in the units of the features, and (N, K, m); see :mod:`avpretext.models.chunking`.
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

    def to(self, device: torch.device | None) -> "SpeechChunks":
        """Return the clips with `steps` and `mask` on a device."""
        return replace(self, steps=self.steps.to(device), mask=self.mask.to(device))

    def take(self, rows: NDArray[np.int64]) -> "SpeechChunks":
        """Return the clips of these rows."""
        return SpeechChunks(
            [self.clip_ids[row] for row in rows],
            [self.speakers[row] for row in rows],
            self.channels,
            self.steps[rows],
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
            return mean_and_deviation(self.moments[:, rows])
        total: NDArray[np.float64] = np.zeros((3, self.steps.shape[2] * self.steps.shape[3]))
        for block in blocks(rows):
            vectors = self.steps[block].flatten(2).flatten(0, 1).double()
            total += np.stack([np.full(total.shape[1], len(vectors)), vectors.sum(0), vectors.square_().sum(0)])
        return mean_and_deviation(total[:, None])


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
        torch.ones(found.values.shape[:3], dtype=torch.bool),
        found.frames[None, :, None].astype(np.float64),
        encoder,
    )


def cut_clips(
    frames: Mapping[str, NDArray[np.float32]], speakers: Mapping[str, str], channels: Sequence[str], grid: ChunkGrid
) -> SpeechChunks:
    """Cut clips that are in memory, (T, F) each, into chunks; see :func:`load_chunks`."""
    return cut(FrameStore.of(frames, channels), speakers, grid)


def cut(store: FrameStore, speakers: Mapping[str, str], grid: ChunkGrid) -> SpeechChunks:
    """Cut all clips of a store into chunks.

    Beside frames and chunks, what is held is that of a block of `BLOCK_FRAMES` frames.
    """
    size = (len(store), grid.chunks, grid.steps)
    steps, mask = torch.empty(*size, len(store.channels)), torch.empty(size, dtype=torch.bool)
    moments = np.empty((3, len(store), len(store.channels)))
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
        [f"{corpus}/{speaker}" for corpus, part in parts.items() for speaker in part.speakers],
        first.channels,
        _joined([part.steps for part in parts.values()]),
        _joined([part.mask for part in parts.values()]),
        np.concatenate([part.moments for part in parts.values()], axis=1),
        first.encoder,
    )


def _joined(parts: Sequence[Tensor]) -> Tensor:
    # One corpus alone, which may be gigabytes, is not copied.
    return torch.cat(list(parts)) if len(parts) > 1 else parts[0]


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


def normalise(chunks: SpeechChunks, train: NDArray[np.int64], by: str, whole: Collection[str] = ()) -> SpeechChunks:
    """Return the chunks in deviations from the mean: NaN and padding 0, clipped to plus and minus 3.

    Mean and deviation are over the frames of the rows `train`, or, by `speaker`, over each speaker's own clips; over
    all clips of a corpus that is named in `whole`.
    """
    steps = torch.empty_like(chunks.steps)
    for rows, source in _normalisation_groups(chunks.speakers, train, by, whole):
        mean, deviation = chunks.mean_and_deviation(source)
        for block in blocks(rows):  # copies, changed in place: a corpus may be gigabytes
            steps[block] = in_deviations(chunks.steps[block].float(), mean, deviation).to(steps.dtype)
    steps *= chunks.mask.unsqueeze(-1)
    return replace(chunks, steps=steps)


def blocks(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return rows in blocks of `BLOCK_CLIPS`."""
    return np.array_split(rows, max(1, -(-len(rows) // BLOCK_CLIPS)))


def in_deviations(steps: Tensor, mean: NDArray[np.float64] | Tensor, deviation: NDArray[np.float64] | Tensor) -> Tensor:
    """Change float32 steps (..., F) in place to deviations from the mean (F,): NaN 0, clipped to plus and minus 3.

    Where the steps are layers, (..., L, F), mean and deviation are (L F,).
    """
    shift, scale = (
        torch.as_tensor(values).float().reshape(-1, steps.shape[-1]).to(steps.device)
        for values in (mean, 1 / deviation)
    )
    return steps.sub_(shift).mul_(scale).nan_to_num_(0.0).clamp_(-CLIP, CLIP)


def _normalisation_groups(
    speakers: Sequence[str], train: NDArray[np.int64], by: str, whole: Collection[str]
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return pairs: rows to normalise, rows whose frames say how."""
    if by == "train":
        return [(np.arange(len(speakers)), train)]
    corpora = [name.partition("/")[0] for name in speakers]
    pairs = zip(speakers, corpora, strict=True)
    names = np.array([corpus if original_of(corpus) in whole else speaker for speaker, corpus in pairs])
    groups = [np.flatnonzero(names == name) for name in np.unique(names)]
    return [(group, group) for group in groups]


def rows_of(speakers: Sequence[str], chosen: Sequence[str]) -> NDArray[np.int64]:
    """Return the rows of the clips of the chosen speakers, ascending."""
    return np.flatnonzero(np.isin(np.array(speakers), np.array(chosen)))

"""Training data: from speech shards to chunks in memory, and from there to normalised input."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avpretext import shards
from avpretext.chunks import frames_of
from avpretext.config import ChunkOptions, ModelOptions
from avpretext.errors import UserError, nearest
from avpretext.models.chunking import ChunkGrid, gather_chunks

CLIP = 3.0
"""Normalised input is clipped to plus and minus this many deviations (Lin & Busso)."""
_KEYS = ("clip_id", "frame", "time_s")


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
    """

    clip_ids: list[str]
    speakers: list[str]
    channels: list[str]
    steps: Tensor
    mask: Tensor
    moments: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.clip_ids)

    def take(self, rows: NDArray[np.int64]) -> "SpeechChunks":
        """Return the clips of these rows."""
        return SpeechChunks(
            [self.clip_ids[row] for row in rows],
            [self.speakers[row] for row in rows],
            self.channels,
            self.steps[rows],
            self.mask[rows],
            self.moments[:, rows],
        )


def chunk_grid(chunks: ChunkOptions, model: ModelOptions) -> ChunkGrid:
    """Return the grid that these options ask for, in 10 ms frames."""
    length = frames_of(chunks.length_s)
    return ChunkGrid(length, chunks.count, chunks.factor, chunks.method, min(model.step_frames, length))


def choose_channels(columns: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return the columns, in their order, that a pattern matches (`*` and `?` as in file names; case counts).

    >>> choose_channels(["clip_id", "frame", "time_s", "energy", "mfcc_sma[1]"], ["mfcc*"])
    ['mfcc_sma[1]']
    """
    channels = [column for column in columns if column not in _KEYS]
    chosen = [name for name in channels if any(_matches(name, pattern) for pattern in patterns)]
    if not chosen:
        hint = nearest(patterns[0], channels) if patterns else ""
        raise UserError(
            f"model.channels: {list(patterns)} match none of the columns of speech{hint};"
            f" columns are {', '.join(channels[:8])}, ...; ['*'] takes all"
        )
    return chosen


def hidden_channels(channels: Sequence[str], patterns: Sequence[str]) -> NDArray[np.bool_]:
    """Return (F,) True for the channels that a pattern matches.

    >>> hidden_channels(["pcm_RMSenergy_sma", "F0final_sma"], ["*RMSenergy*"])
    array([ True, False])
    """
    return np.array([any(_matches(name, pattern) for pattern in patterns) for name in channels], dtype=bool)


def _matches(name: str, pattern: str) -> bool:
    # openSMILE writes "mfcc_sma[1]"; brackets in a pattern stand for themselves, so such a name can be given as it is.
    return fnmatchcase(name, pattern.replace("[", "[[]"))


def load_chunks(
    speech: Sequence[shards.PathLike], speakers: Mapping[str, str], patterns: Sequence[str], grid: ChunkGrid
) -> SpeechChunks:
    """Read the clips named in `speakers` from the speech shards of a corpus and cut them into chunks.

    Parameters
    ----------
    speech
        The shards.
    speakers
        clip_id: speaker. Clips that are in no shard are left out.
    patterns
        Which columns to take, see :func:`choose_channels`.
    grid
        The grid of chunks.
    """
    channels = choose_channels(shards.columns_of(speech[0]), patterns)
    clips: dict[str, tuple[Tensor, Tensor, NDArray[np.float64]]] = {}
    for shard in speech:
        for clip_id, rows in shards.iterate_clips(shard, channels):
            if clip_id in speakers:
                frames = np.column_stack([rows[name].to_numpy() for name in channels]).astype(np.float32, copy=False)
                clips[clip_id] = (*_cut(frames, grid), _moments(frames))
    clip_ids = sorted(clips)
    if not clip_ids:
        raise UserError(
            f"none of {len(speakers)} clips is in the speech shards ({speech[0]}, ...);"
            " check that index, labels and speech are of one corpus, and rejects for refused clips"
        )
    if len(clip_ids) < len(speakers):
        left_out = len(speakers) - len(clip_ids)
        print(f"warning: {left_out} of {len(speakers)} clips have no speech features: left out", file=sys.stderr)
    return SpeechChunks(
        clip_ids,
        [speakers[clip_id] for clip_id in clip_ids],
        channels,
        torch.stack([clips[clip_id][0] for clip_id in clip_ids]),
        torch.stack([clips[clip_id][1] for clip_id in clip_ids]),
        np.stack([clips[clip_id][2] for clip_id in clip_ids], axis=1),
    )


def cut_clips(
    frames: Mapping[str, NDArray[np.float32]], speakers: Mapping[str, str], channels: Sequence[str], grid: ChunkGrid
) -> SpeechChunks:
    """Cut clips that are in memory, (T, F) each, into chunks; see :func:`load_chunks`."""
    clip_ids = sorted(frames)
    cut = [_cut(frames[clip_id], grid) for clip_id in clip_ids]
    return SpeechChunks(
        clip_ids,
        [speakers[clip_id] for clip_id in clip_ids],
        list(channels),
        torch.stack([steps for steps, _ in cut]),
        torch.stack([mask for _, mask in cut]),
        np.stack([_moments(frames[clip_id]) for clip_id in clip_ids], axis=1),
    )


def _cut(frames: NDArray[np.float32], grid: ChunkGrid) -> tuple[Tensor, Tensor]:
    steps, mask = gather_chunks(torch.from_numpy(frames)[None], torch.tensor([len(frames)]), grid)
    return steps[0], mask[0]


def _moments(frames: NDArray[np.float32]) -> NDArray[np.float64]:
    finite = np.isfinite(frames)
    values = np.where(finite, frames, 0).astype(np.float64)
    return np.stack([finite.sum(0).astype(np.float64), values.sum(0), np.square(values).sum(0)])


def concatenate(parts: Mapping[str, SpeechChunks]) -> SpeechChunks:
    """Join the clips of several corpora; from then on they are `{corpus}/{clip_id}` of `{corpus}/{speaker}`."""
    first = next(iter(parts.values()))
    for corpus, part in parts.items():
        if part.channels != first.channels:
            raise UserError(
                f"speech of {corpus} has other columns than that of {next(iter(parts))}; redo the stage speech"
            )
    return SpeechChunks(
        [f"{corpus}/{clip_id}" for corpus, part in parts.items() for clip_id in part.clip_ids],
        [f"{corpus}/{speaker}" for corpus, part in parts.items() for speaker in part.speakers],
        first.channels,
        torch.cat([part.steps for part in parts.values()]),
        torch.cat([part.mask for part in parts.values()]),
        np.concatenate([part.moments for part in parts.values()], axis=1),
    )


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


def normalise(chunks: SpeechChunks, train: NDArray[np.int64], by: str) -> SpeechChunks:
    """Return the chunks in deviations from the mean: NaN and padding 0, clipped to plus and minus 3.

    Parameters
    ----------
    chunks
        All clips.
    train
        Rows of the training clips.
    by
        `train`: mean and deviation over the frames of the training clips; `speaker`: over each speaker's own clips.
    """
    steps = torch.empty_like(chunks.steps)
    for rows, source in _normalisation_groups(chunks.speakers, train, by):
        mean, deviation = mean_and_deviation(chunks.moments[:, source])
        shift, scale = torch.from_numpy(mean).float(), torch.from_numpy(1 / deviation).float()
        steps[rows] = ((chunks.steps[rows] - shift) * scale).nan_to_num(0.0).clamp(-CLIP, CLIP)
    steps *= chunks.mask.unsqueeze(-1)
    return replace(chunks, steps=steps)


def _normalisation_groups(
    speakers: Sequence[str], train: NDArray[np.int64], by: str
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return pairs: rows to normalise, rows whose frames say how."""
    if by == "train":
        return [(np.arange(len(speakers)), train)]
    names = np.array(speakers)
    groups = [np.flatnonzero(names == name) for name in sorted(set(speakers))]
    return [(group, group) for group in groups]


def rows_of(speakers: Sequence[str], chosen: Sequence[str]) -> NDArray[np.int64]:
    """Return the rows of the clips of the chosen speakers, ascending."""
    return np.flatnonzero(np.isin(np.array(speakers), np.array(chosen)))

"""The sound of clips as input of a network: what a pre-trained encoder that learns hears."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from avpretext import shards
from avpretext.errors import UserError
from avpretext.progress import progress
from avpretext.sound.audio_shards import EncodedClip, decode, read_clips
from avpretext.training import mapped

FULL_SCALE = 32_768
"""Samples are held as the 16 bit in which they are stored; divided by this they are those of `audio_shards.decode`."""


@dataclass(frozen=True)
class Sounds:
    """The sound of B clips; it is taken from like a tensor whose first dimension is the clips.

    Attributes
    ----------
    signals
        (samples,) int16 at 16 kHz of every clip that there is, on disk.
    rows
        (B,) which of them these clips are.
    device
        On which they are heard.
    """

    signals: Sequence[NDArray[np.int16]]
    rows: Tensor
    device: torch.device

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: slice | Tensor | NDArray[np.int64]) -> "Sounds":
        places = chosen if isinstance(chosen, slice) else torch.as_tensor(chosen, device="cpu")
        return replace(self, rows=self.rows[places])

    def index_select(self, dimension: int, chosen: Tensor) -> "Sounds":
        """Return the clips of these rows; `dimension` is 0."""
        return self[chosen]

    def to(self, device: torch.device, non_blocking: bool = False) -> "Sounds":
        """Return the clips, to be heard on a device."""
        return replace(self, device=device)

    def signal(self, place: int) -> NDArray[np.float32]:
        """Return a clip, shape (samples,), full scale 1."""
        samples = self.signals[int(self.rows[place])]
        return samples.astype(np.float32) / np.float32(FULL_SCALE)


def are_sound(files: Sequence[Path]) -> bool:
    """Tell whether files are shards of `split.audio`, and not of an encoder's hidden states."""
    return bool(files) and "audio" in shards.columns_of(files[0])


def read(files: Sequence[Path], wanted: Mapping[str, str]) -> tuple[list[str], list[NDArray[np.int16]]]:
    """Return names, sorted, and samples of the clips that are wanted; one that cannot be read is left out, with a word.

    Raises
    ------
    UserError
        None of them is there.
    """
    names: list[str] = []
    lost = 0

    def signals() -> Iterator[NDArray[np.int16]]:
        nonlocal lost
        for clip in progress(_wanted(files, wanted), total=len(wanted), label="training data, sound", quiet=True):
            try:
                samples = np.rint(decode(clip) * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
            except soundfile.LibsndfileError:
                lost += 1
                continue
            names.append(clip.clip_id)
            yield samples

    held = mapped.end_to_end(signals())
    found = dict(zip(names, held, strict=True))
    if not found:
        raise UserError(f"none of {len(wanted)} clips is in the audio shards ({files[0]}, ...); redo the stage split")
    if len(found) < len(wanted):
        missing = len(wanted) - len(found)
        print(f"warning: {missing} of {len(wanted)} clips have no sound ({lost} unreadable): left out", file=sys.stderr)
    return sorted(found), [found[name] for name in sorted(found)]


def _wanted(files: Sequence[Path], wanted: Mapping[str, str]) -> Iterator[EncodedClip]:
    for file in files:
        yield from (clip for clip in read_clips(file) if clip.clip_id in wanted)

"""The chunk grid: any clip as a fixed number of equally long chunks, made to fit by how much they overlap.

The label stages and the models read the same grid from here, so a chunk's label and its input are the same stretch of
speech. Frames are the 10 ms frames of the `speech` shards. Dynamic chunking is due to Lin & Busso, "An efficient
temporal modeling approach for speech emotion recognition by mapping varied duration sentences into fixed number of
chunks" (Interspeech 2020).
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from avpretext.errors import UserError

FRAME_S = 0.01
"""Seconds from one frame of the grid to the next."""

SAMPLE_RATE_HZ = 16_000
"""Of all audio."""

SAMPLES_PER_FRAME = 160
"""Samples from one frame of the grid to the next."""


def frames_of(length_s: float) -> int:
    """Return a length in frames of the grid, at least 1.

    >>> frames_of(1.0), frames_of(0.001)
    (100, 1)
    """
    return max(1, round(length_s / FRAME_S))


def frame_count(samples: int) -> int:
    """Return how many 10 ms frames a clip has: one for every 160 samples, at least one.

    >>> frame_count(16000), frame_count(159)
    (100, 1)
    """
    return max(1, samples // SAMPLES_PER_FRAME)


ChunkMethod = Literal["exact", "published"]


def chunk_places(
    frames: NDArray[np.int64], length: int, count: int, factor: int = 1, method: ChunkMethod = "exact"
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the chunks of clips lie: chunk k of clip i is frames ``starts[i, k] : starts[i, k] + spans[i]``.

    `exact` spaces the starts evenly (rounded to the frame): the first chunk starts at frame 0, the last one ends with
    the last frame, and together they read every frame. A chunk spans `length` frames, but all of a clip that is shorter
    (the model pads it), and ``ceil(frames / chunks)`` where chunks of `length` laid end to end would leave frames
    unread (the model averages the longer chunk down to `length` steps): the number of chunks stays fixed.

    `published` is the formula of Lin & Busso's code, ``start[k] = k * floor((frames - length) / (factor * count - 1))``
    with chunks of `length`, its flaws kept: the floor leaves frames at the end unread, clips little longer than a chunk
    become copies of their first chunk, long clips have gaps. It has no value for a clip shorter than a chunk and for a
    single chunk: an error.

    Parameters
    ----------
    frames
        (B,) frames of each clip, at least 1.
    length
        Nominal frames of a chunk, at least 1.
    count, factor
        A clip becomes ``factor * count`` chunks.

    Returns
    -------
    starts (B, factor * count) and spans (B,), int64, in 10 ms frames.
    """
    _check(frames, length, count, factor, method)
    chunks = factor * count
    order = np.arange(chunks, dtype=np.int64)
    if method == "published":
        return order * ((frames - length) // (chunks - 1))[:, None], np.full(len(frames), length, dtype=np.int64)
    spans = np.minimum(frames, np.maximum(length, -(-frames // chunks)))
    if chunks == 1:
        return np.zeros((len(frames), 1), dtype=np.int64), spans
    # Integer arithmetic, halves rounded up: the same starts on every machine.
    return (2 * order * (frames - spans)[:, None] + chunks - 1) // (2 * (chunks - 1)), spans


def chunk_span(frames: int, length: int, count: int, factor: int = 1, method: ChunkMethod = "exact") -> int:
    """Frames that each chunk of a clip covers; see :func:`chunk_places`.

    >>> chunk_span(250, 100, 5), chunk_span(40, 100, 5), chunk_span(1000, 62, 11)
    (100, 40, 91)
    """
    return int(chunk_places(np.array([frames]), length, count, factor, method)[1][0])


def chunk_starts(
    frames: int, length: int, count: int, factor: int = 1, method: ChunkMethod = "exact"
) -> NDArray[np.int64]:
    """First frame of each chunk of a clip, ascending, (factor * count,); see :func:`chunk_places`.

    >>> chunk_starts(250, 100, 5)
    array([  0,  38,  75, 113, 150])
    >>> chunk_starts(250, 100, 5, method="published")
    array([  0,  37,  74, 111, 148])
    """
    starts, _ = chunk_places(np.array([frames]), length, count, factor, method)
    return starts.reshape(-1)


def _check(frames: NDArray[np.int64], length: int, count: int, factor: int, method: str) -> None:
    shortest = int(frames.min(initial=np.iinfo(np.int64).max))
    if min(shortest, length, count, factor) < 1:
        raise ValueError(f"frames={shortest}, length={length}, count={count}, factor={factor}; each must be at least 1")
    if method not in ("exact", "published"):
        raise ValueError(f"method={method!r}; expected 'exact' or 'published'")
    if method == "exact":
        return
    if factor * count == 1:
        raise UserError("chunks.method: published, with a single chunk; its formula divides by zero; use exact instead")
    if shortest < length:
        raise UserError(
            f"chunks.method: published, on a clip of {shortest} frames; its formula needs one chunk of {length} frames"
            " at least; use chunks.method: exact, which pads short clips"
        )

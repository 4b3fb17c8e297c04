"""Rows of hidden states to means: per chunk of the grid, or per clip."""

import numpy as np
from numpy.typing import NDArray

from avpretext.chunks import FRAME_S, chunk_places, frames_of
from avpretext.config import ChunkOptions

Floats = NDArray[np.float32]
Times = NDArray[np.float64]


def chunk_edges(frames: int, chunks: ChunkOptions) -> NDArray[np.int64]:
    """Return where the chunks of a clip of so many 10 ms frames start and end, in frames, (K, 2)."""
    length = frames_of(chunks.length_s)
    starts, spans = chunk_places(np.array([frames]), length, chunks.count, chunks.factor, chunks.method)
    return np.stack([starts[0], starts[0] + spans[0]], axis=1)


def rows_of_chunks(times_s: Times, edges: NDArray[np.int64]) -> list[slice]:
    """Return the rows of each chunk.

    A row belongs to the chunks that its middle lies in. A chunk that holds no middle takes the row nearest to its own.

    Parameters
    ----------
    times_s
        (T,) middles of the rows, ascending, T at least 1.
    edges
        (K, 2) in 10 ms frames.
    """
    found = []
    for start, end in edges * FRAME_S:
        first, stop = np.searchsorted(times_s, [start, end])
        if first == stop:
            first = int(np.abs(times_s - (start + end) / 2).argmin())
            stop = first + 1
        found.append(slice(int(first), int(stop)))
    return found


def means(values: Floats, times_s: Times, edges: NDArray[np.int64]) -> Floats:
    """Return the mean over the rows of each chunk, (K, L, D), of (T, L, D); see `rows_of_chunks`."""
    found = np.empty((len(edges), *values.shape[1:]), np.float32)
    for chunk, rows in enumerate(rows_of_chunks(times_s, edges)):
        found[chunk] = values[rows].mean(0, dtype=np.float64)
    return found

"""Task 1: is the energy variation of a chunk of speech high or low?

The value is the standard deviation (or, by option, the mean) over the chunk of the frame energy in decibels below full
scale. The paper behind the task (Goncalves & Busso, Interspeech 2022) does not print its measure: this is our choice.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config import ChunkOptions, EnergyLabelOptions
from avpretext.corpora.who import named_speakers
from avpretext.flow.provenance import provenance
from avpretext.labels import chunk_labels
from avpretext.progress import progress


def run(
    speech: Sequence[Path], index: Sequence[Path], options: EnergyLabelOptions, chunks: ChunkOptions, output: Path
) -> None:
    """Label the chunks of a corpus by their energy.

    Parameters
    ----------
    index
        All shards of `index`, which know the speakers.
    output
        Where the artefact goes: one row per chunk.
    """
    made_by = provenance(
        "labels_energy", {"labels.energy": options.model_dump(mode="json"), "chunks": chunks.model_dump(mode="json")}
    )
    speakers = named_speakers(index)
    measured = chunk_labels.MeasuredChunks()
    for path in progress(speech, total=len(speech), unit="shards", label=f"labels_energy {output.parent.parent.name}"):
        for clip_id, rows in shards.iterate_clips(path, ["energy"]):
            starts, ends = chunk_labels.grid(rows.num_rows, chunks)
            energy_db = decibels(rows["energy"].to_numpy(), options.floor_db)
            group = chunk_labels.group_of(clip_id, speakers.get(clip_id), options)
            measured.add(clip_id, group, starts, ends, chunk_energy(energy_db, starts, ends, options.measure))
    chunk_labels.write(output, "labels_energy", measured, options, made_by)


def decibels(energy: NDArray[np.floating], floor_db: float) -> NDArray[np.float64]:
    """Turn RMS energy (full scale 1) into decibels, nothing below the floor.

    >>> decibels(np.array([1.0, 0.1, 0.0]), -60)
    array([  0., -20., -60.])
    """
    return np.asarray(20 * np.log10(np.maximum(energy.astype(np.float64), 10 ** (floor_db / 20))))


def chunk_energy(
    energy_db: NDArray[np.floating], starts: NDArray[np.int64], ends: NDArray[np.int64], measure: str
) -> NDArray[np.float64]:
    """Return the standard deviation (`deviation`) or mean (`mean`) of the energy over each chunk.

    `energy_db` (T,) is of each 10 ms frame; each chunk is frames ``start : end``.
    """
    chunks = [energy_db[start:end] for start, end in zip(starts, ends, strict=True)]
    return np.array([chunk.std() if measure == "deviation" else chunk.mean() for chunk in chunks])

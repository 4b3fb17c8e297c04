"""Which files are meant, and who speaks in them: arguments of the command line to lists; sound given as numbers."""

import csv
import glob
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.corpora.reader import extension, is_media
from avpretext.errors import UserError
from avpretext.media.extensions import in_words, is_document
from avpretext.names import EDGES, nfc

BY = ("one", "folder", "file")
"""What tells speakers apart, other than a table."""


def expand(arguments: Sequence[str]) -> list[str]:
    """Return the files that are meant: those named, those below folders, those that patterns match; each once.

    Files named are taken as they are, whatever their names; below a folder those with a name of audio or video, sorted.
    It is an error if a folder holds no such file, or if a pattern matches none.
    """
    return list(dict.fromkeys(file for argument in arguments for file in _expand(argument)))


def _expand(argument: str) -> Iterator[str]:
    if os.path.isdir(argument):
        files = sorted(path for path in Path(argument).rglob("*") if path.is_file())
        found = [str(path) for path in files if is_media(path.name)]
        others = [extension(path.name) for path in files if not is_media(path.name) and not path.name.startswith(".")]
        others = [ending for ending in others if not (found and is_document(ending))]
        said = f"{len(others)} files are left out by their ending: {in_words(others)}" if others else ""
        if not found:
            why = f" ({said})" if said else ""
            raise UserError(f"{argument}: no audio or video file in this folder{why}; name files, or another folder")
        if said:
            print(f"predict: {argument}: {said}; name files to take them too", file=sys.stderr)
        yield from found
    elif os.path.lexists(argument) or glob.escape(argument) == argument:
        yield argument
    else:
        matches = sorted(glob.glob(argument, recursive=True))
        if not matches:
            raise UserError(f"{argument}: matches no file; quote it so that the shell leaves it alone")
        for match in matches:
            yield from [match] if not os.path.isdir(match) else _expand(match)


def speakers_of(files: Sequence[str], by: str) -> list[str]:
    """Return who speaks in each file, as `expand` names them.

    `one` is the same person in all; by `folder` the folder of a file is its speaker; by `file` it is another person in
    each. Otherwise `by` is a CSV table with columns `file` and `speaker`, where a file is named as here, or by its name
    alone; a table that lacks a file is an error.

    >>> speakers_of(["a/1.wav", "a/2.wav", "b/1.wav"], "folder")
    ['a', 'a', 'b']
    """
    if by == "one":
        return ["one"] * len(files)
    if by == "folder":
        return [os.path.dirname(file) for file in files]
    if by == "file":
        return list(files)
    known = _read_table(by)
    speakers = [known.get(nfc(file), known.get(nfc(os.path.basename(file)))) for file in files]
    for file, speaker in zip(files, speakers, strict=True):
        if not speaker:
            raise UserError(f"--speakers {by}: no speaker for {file}; add a row")
    return [speaker or "" for speaker in speakers]


def _read_table(path: str) -> dict[str, str]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as table:
            rows = list(csv.DictReader(table))
    except (OSError, UnicodeDecodeError, csv.Error):
        raise UserError(
            f"--speakers {path!r}: expected {', '.join(BY)}, or a CSV table with columns file, speaker"
        ) from None
    if not rows or not {"file", "speaker"} <= rows[0].keys():
        raise UserError(f"--speakers {path}: expected columns file, speaker, and a row for each file")
    return {nfc(row["file"].strip(EDGES)): nfc((row["speaker"] or "").strip(EDGES)) for row in rows if row["file"]}


MAX_CHANNELS = 8
RATES_HZ = (1000, 384_000)


def write_sound(file: Path, samples: NDArray[Any], rate: int | None) -> Path:
    """Write samples as a WAV file; of 16 kHz mono, rounded to 16 bit as ffmpeg does it.

    They are (samples,) or (samples, channels), floating with full scale 1, or int16; `rate` is in samples per second.
    What is no sound is an error.
    """
    if rate is None or not RATES_HZ[0] <= rate <= RATES_HZ[1]:
        raise UserError(f"rate = {rate}: samples need their rate, in samples per second, such as 16000")
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and not 1 <= samples.shape[1] <= MAX_CHANNELS):
        raise UserError(
            f"samples of shape {samples.shape}: expected (samples,) or (samples, channels), at most"
            f" {MAX_CHANNELS} channels; transpose (channels, samples)"
        )
    floating = np.issubdtype(samples.dtype, np.floating)
    if not floating and samples.dtype != np.int16:
        raise UserError(f"samples of type {samples.dtype}: expected floating numbers with full scale 1, or int16")
    if floating and not np.isfinite(samples).all():
        raise UserError("samples with NaN or infinite values: put silence, 0, in their place")
    if floating and rate == SAMPLE_RATE_HZ and (samples.ndim == 1 or samples.shape[1] == 1):
        samples = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    subtype = "PCM_16" if samples.dtype == np.int16 else "FLOAT"
    soundfile.write(file, samples, int(rate), subtype, format="WAV")
    return file

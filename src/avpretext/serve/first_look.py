"""What the page shows of a file: the prediction for the whole and along time, vocal energy, the face."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avpretext.chunks import FRAME_S
from avpretext.config import MediaOptions
from avpretext.errors import RefusedFile, UserError
from avpretext.labels.energy import decibels
from avpretext.media import ffmpeg
from avpretext.media.sound import listen
from avpretext.predict.hearing import LONGEST_S
from avpretext.predict.model import Model, Windows
from avpretext.predict.result import Prediction
from avpretext.refusal import REASONS
from avpretext.serve.face_look import FaceLook, look_at_face
from avpretext.sound.descriptors import frame_energy
from avpretext.sound.live import SCALE, parts

Floats = NDArray[np.float64]

SHORT, LONG = (1.0, 0.25), (3.0, 1.0)
"""Window and hop, in seconds, of clips and of longer recordings."""

SHORT_S = 20.0
"""Longer sound gets windows of `LONG`."""

SILENCE_DB = -80.0
"""Energy below this is shown as this."""

POINTS = 800
"""Of the curve of energy, at most."""


@dataclass(frozen=True)
class FirstLook:
    """What is known of a file.

    Attributes
    ----------
    name
        Of the file, without its folder.
    whole, refusal
        Prediction for the whole, or in words why there is none.
    along
        Prediction for windows along the sound; None: the file is refused there too.
    energy_s, energy_db
        (T,) seconds, and vocal energy in dB relative to full scale.
    face, face_note
        What its pictures show, or in words why nothing; both empty for a file without pictures.
    """

    name: str
    whole: Prediction | None
    refusal: str
    along: Prediction | None
    energy_s: Floats
    energy_db: Floats
    face: FaceLook | None = None
    face_note: str = ""

    @property
    def duration_s(self) -> float:
        """Seconds of its sound, as far as it was heard."""
        return float(self.along.end_s[-1]) if self.along is not None else 0.0


def first_look(model: Model, file: Path, face_model: Path) -> FirstLook:
    """Look at a file, whatever it is; a file that cannot be used has the reason in words.

    Parameters
    ----------
    face_model
        The file `face_landmarker.task`; where it is missing, the face has a note how to get it.
    """
    whole, refusal = _predicted(model, file, None)
    energy_s, energy_db = vocal_energy(file)
    windows = SHORT if len(energy_s) == 0 or energy_s[-1] <= SHORT_S else LONG
    along, _ = _predicted(model, file, (max(windows[0], model.shortest_s), windows[1]))
    if along is None:
        return FirstLook(file.name, whole, refusal, None, np.zeros(0), np.zeros(0))
    face, note = look_at_face(file, face_model, float(along.end_s[-1]))
    return FirstLook(file.name, whole, refusal, along, energy_s, energy_db, face, note)


def _predicted(model: Model, file: Path, along_time: Windows | None) -> tuple[Prediction | None, str]:
    """Return the prediction, or in words why there is none."""
    try:
        return model.predict(file, along_time=along_time, speaker="anybody"), ""
    except RefusedFile as error:
        return None, in_words(error.reason, error.detail)
    except UserError as error:
        return None, str(error)


def in_words(reason: str, detail: str) -> str:
    """Return why a file is refused as a sentence, without the advice that is meant for a corpus.

    >>> in_words("no_audio", "")
    'Refused: the file has no audio stream.'
    """
    return f"Refused: {REASONS[reason].partition(';')[0]}{f' ({detail})' if detail else ''}."


def vocal_energy(file: Path) -> tuple[Floats, Floats]:
    """Return seconds and energy of the 10 ms frames of a file, (T,), in dB relative to full scale; of long ones means.

    Nothing for a file without sound.
    """
    options = MediaOptions(max_duration_s=LONGEST_S)
    rows = [
        frame_energy(part.samples.astype(np.float32) * SCALE)[part.first : part.stop]
        for part in parts(listen(file, ffmpeg.program(options.ffmpeg), options))
    ]
    if not rows:
        return np.zeros(0), np.zeros(0)
    energy = np.concatenate(rows)
    step = -(-len(energy) // POINTS)
    starts = np.arange(0, len(energy), step)
    means = np.add.reduceat(energy.astype(np.float64), starts) / np.diff(np.append(starts, len(energy)))
    return np.asarray(starts * FRAME_S, np.float64), decibels(np.asarray(means), SILENCE_DB)

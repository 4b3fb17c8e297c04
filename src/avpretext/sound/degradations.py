"""What noise, a telephone, a codec and a room do to the sound of a clip; the same bytes for the same seed."""

import io

import numpy as np
import scipy.fft
import soundfile
from numpy.typing import NDArray
from scipy.signal import firwin, oaconvolve, resample_poly

from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.media.codec import coded
from avpretext.options.conditions import Condition
from avpretext.sound.audio_shards import FULL_SCALE
from avpretext.sound.speech_level import active_level_db

NOISE_HZ = (50.0, 8000.0)
"""Band of the noise, whose power falls by 3 dB per octave (pink)."""

TELEPHONE_HZ = (300.0, 3400.0)
"""Band of the telephone, where the filter is at -6 dB."""

TELEPHONE_RATE_HZ = 8000

DIRECT_TO_REVERBERANT_DB = 0.0
"""Of a room: energy of the direct sound beside that of all reverberation."""

_TAPS = 801
Signal = NDArray[np.float32]
Floats = NDArray[np.float64]


def degraded(signal: Signal, condition: Condition, generator: np.random.Generator) -> Signal:
    """Return a clip (N,) at 16 kHz in a condition: as many samples; all of it quieter where it would exceed full scale.

    `generator` draws the noise or the room.
    """
    kind, amount = condition
    if kind == "noise":
        heard = signal + noise_beside(signal, amount, generator)
    elif kind == "room":
        response = room_response(amount / 1000, generator)
        heard = oaconvolve(signal.astype(np.float64), response)[: len(signal)]
    elif kind == "telephone":
        heard = telephone(signal)
    else:
        sixteen_bit = np.clip(np.round(signal * 32768.0), -32768, 32767).astype(np.int16)
        heard = coded(sixteen_bit, SAMPLE_RATE_HZ, condition.codec, amount) / 32768.0
    peak = float(np.abs(heard).max(initial=0.0))
    return np.asarray(heard * (FULL_SCALE / max(peak, FULL_SCALE)), dtype=np.float32)


def noise_beside(signal: Signal, snr_db: float, generator: np.random.Generator) -> Floats:
    """Return pink noise (N,) whose level is `snr_db` below the active level of speech; none beside silence."""
    noise = pink_noise(len(signal), generator)
    level = float(np.sqrt(np.mean(np.square(noise)))) if len(noise) else 0.0
    wanted = 10 ** ((active_level_db(signal) - snr_db) / 20)
    return noise * (wanted / level) if level > 0 else noise


def pink_noise(samples: int, generator: np.random.Generator) -> Floats:
    """Return stationary Gaussian noise (N,) at 16 kHz, of power 1 / f within `NOISE_HZ` and none elsewhere."""
    length = scipy.fft.next_fast_len(max(samples, 1), real=True)
    hertz = scipy.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ)
    drawn = generator.standard_normal((2, len(hertz)))
    inside = (hertz >= NOISE_HZ[0]) & (hertz <= NOISE_HZ[1])
    amplitudes = np.where(inside, 1 / np.sqrt(np.maximum(hertz, 1.0)), 0.0)
    found: Floats = scipy.fft.irfft((drawn[0] + 1j * drawn[1]) * amplitudes, length)[:samples]
    return found


def telephone(signal: Signal) -> Floats:
    """Return a clip (N,) after a narrow-band telephone line: 300 to 3400 Hz, 8 kHz, mu-law (ITU-T G.711)."""
    band = firwin(_TAPS, TELEPHONE_HZ, pass_zero=False, fs=SAMPLE_RATE_HZ)
    narrow = oaconvolve(signal.astype(np.float64), band, mode="same") if len(signal) else signal
    file = io.BytesIO()
    soundfile.write(file, resample_poly(narrow, 1, 2), TELEPHONE_RATE_HZ, format="WAV", subtype="ULAW")
    file.seek(0)
    decoded, _ = soundfile.read(file)
    heard: Floats = resample_poly(decoded, 2, 1)[: len(signal)]
    return heard


def room_response(reverberation_s: float, generator: np.random.Generator) -> Floats:
    """Return the impulse response of a room, (N,) at 16 kHz: the direct sound, and noise that falls by 60 dB in RT60.

    Reverberation of all frequencies is Gaussian noise with an exponential envelope from the direct sound on, the
    statistical model of J.-D. Polack, "La transmission de l'energie sonore dans les salles" (thesis, Le Mans, 1988),
    used for artificial reverberation by J. Moorer, Computer Music Journal 3(2), 13-28, 1979. It has no early echoes.

    Parameters
    ----------
    reverberation_s
        RT60, the time in which reverberation falls by 60 dB; it is cut there.
    """
    times = np.arange(1, round(reverberation_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tail = generator.standard_normal(len(times)) * 10 ** (-3 * times / reverberation_s)
    tail *= 10 ** (-DIRECT_TO_REVERBERANT_DB / 20) / np.sqrt(np.square(tail).sum())
    return np.concatenate([[1.0], tail])

"""A voice: espeak-ng through ctypes, with the time of every phoneme, and what vocal effort does to a sound."""

import _ctypes
import ctypes
from dataclasses import dataclass
from typing import NamedTuple

import espeakng_loader
import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len

Samples = NDArray[np.float64]
"""In 64 bit, whose last digits, which depend on the processor, are gone once a clip's sound is rounded to 16 bit."""

RATE_HZ = 22050
"""Sampling rate of espeak-ng's formant synthesiser."""

_SYNCHRONOUS, _PHONEME_EVENTS, _PHONEME_IPA, _DO_NOT_EXIT = 2, 1, 2, 0x8000
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_TERMINATED, _PHONEME = 0, 7
_UTF8 = 1


class _Event(ctypes.Structure):
    """`espeak_EVENT` of espeak-ng's speak_lib.h; the union at its end is read as a phoneme's name."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True)
class Delivery:
    """How a sentence is said, in espeak-ng's own scales.

    `voice` is a voice and its variant, such as ``"en-us+m3"``; pitch and range are 0 to 99, 50 is the voice's own;
    words per minute are 80 to 450, 175 is usual.
    """

    voice: str
    pitch: float
    pitch_range: float
    words_per_minute: float


class Phoneme(NamedTuple):
    """One phoneme (IPA) and the stretch of time it takes, in seconds."""

    start_s: float
    end_s: float
    name: str


class Utterance(NamedTuple):
    """Sound (full scale 1, `RATE_HZ`) and its phonemes, in order."""

    samples: Samples
    phonemes: tuple[Phoneme, ...]


def speak(text: str, delivery: Delivery) -> Utterance:
    """Say `text`; the same text and delivery give the same samples, whatever was said before.

    espeak-ng keeps state that outlives `espeak_Terminate` (phases, flutter, the C library's random numbers), so the
    library is loaded anew for every utterance (about 4 ms) and the random numbers are seeded.
    """
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    try:
        sound, marks = _synthesise(library, text, delivery)
    finally:
        _ctypes.dlclose(library._handle)
    return Utterance(sound, _phonemes(marks, len(sound)))


def _synthesise(library: ctypes.CDLL, text: str, delivery: Delivery) -> tuple[Samples, list[tuple[int, str]]]:
    """Run one synthesis in a freshly loaded library; return the sound, and sample and name of each phoneme."""
    blocks: list[NDArray[np.int16]] = []
    marks: list[tuple[int, str]] = []

    def collect(wave: "ctypes._Pointer[ctypes.c_short]", count: int, event: "ctypes._Pointer[_Event]") -> int:
        if wave and count > 0:
            blocks.append(np.ctypeslib.as_array(wave, (count,)).copy())
        index = 0
        while (one := event[index]).type != _TERMINATED:
            if one.type == _PHONEME:
                marks.append((one.sample, one.name.decode("utf-8", "ignore")))
            index += 1
        return 0

    callback = _Callback(collect)
    data = str(espeakng_loader.get_data_path()).encode()
    flags = _PHONEME_EVENTS | _PHONEME_IPA | _DO_NOT_EXIT
    if library.espeak_Initialize(_SYNCHRONOUS, 0, data, flags) != RATE_HZ:
        raise RuntimeError(f"espeak-ng did not start with the data in {data.decode()}; reinstall espeakng-loader")
    library.espeak_SetSynthCallback(callback)
    _set_delivery(library, delivery)
    ctypes.CDLL(None).srand(1)
    encoded = text.encode()
    library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    library.espeak_Terminate()
    return np.concatenate(blocks) / 32768.0, marks


def _set_delivery(library: ctypes.CDLL, delivery: Delivery) -> None:
    """Hand voice, pitch, range and rate to espeak-ng, rounded to its whole numbers."""
    if library.espeak_SetVoiceByName(delivery.voice.encode()) != 0:
        raise ValueError(f"{delivery.voice}: not a voice of espeak-ng; expected one such as 'en-us+m3'")
    settings = {
        _RATE: np.clip(delivery.words_per_minute, 80, 450),
        _VOLUME: 100,
        _PITCH: np.clip(delivery.pitch, 0, 99),
        _RANGE: np.clip(delivery.pitch_range, 0, 99),
    }
    for parameter, value in settings.items():
        library.espeak_SetParameter(parameter, round(float(value)), 0)


def _phonemes(marks: list[tuple[int, str]], samples: int) -> tuple[Phoneme, ...]:
    """Turn espeak-ng's starts of phonemes into stretches; pauses have no name and are left out."""
    ends = [sample for sample, _ in marks[1:]] + [samples]
    return tuple(
        Phoneme(start / RATE_HZ, min(end, samples) / RATE_HZ, name)
        for (start, name), end in zip(marks, ends, strict=True)
        if name and end > start
    )


def tilt(samples: Samples, db_per_octave: float) -> Samples:
    """Tilt the spectrum around 500 Hz: vocal effort lifts high frequencies, a slack voice loses them.

    Frequencies under 80 Hz and above 8 kHz are treated as those.
    """
    padded = next_fast_len(len(samples) + RATE_HZ // 10, real=True)
    spectrum = np.fft.rfft(samples, padded)
    frequency = np.clip(np.fft.rfftfreq(padded, 1 / RATE_HZ), 80, 8000)
    gain = 10 ** (db_per_octave * np.log2(frequency / 500.0) / 20)
    tilted: Samples = np.fft.irfft(spectrum * gain, padded)[: len(samples)]
    return tilted


def envelope(samples: Samples) -> Samples:
    """Root-mean-square of the sound in a sliding window of 30 ms, one value per sample."""
    width = round(0.03 * RATE_HZ)
    power = np.convolve(samples**2, np.full(width, 1 / width), mode="same")
    return np.sqrt(np.maximum(power, 0))


def breathe(samples: Samples, amount: float, rng: np.random.Generator) -> Samples:
    """Add aspiration: noise that rises and falls with the voice, `amount` times its level."""
    noise = rng.standard_normal(len(samples))
    noise[1:] -= 0.7 * noise[:-1]
    return samples + amount * envelope(samples) * noise


def modulate(samples: Samples, gain: Samples) -> Samples:
    """Multiply the sound by a gain given at evenly spaced instants from its start to its end."""
    instants = np.linspace(0, len(gain) - 1, len(samples))
    return samples * np.interp(instants, np.arange(len(gain)), gain)


def set_level(samples: Samples, level_db: float) -> Samples:
    """Scale the sound so that its root-mean-square is `level_db` under full scale."""
    rms = float(np.sqrt(np.mean(samples**2)))
    return samples * (10 ** (level_db / 20) / max(rms, 1e-6))


def reverberate(samples: Samples, decay_s: float, wet: float, rng: np.random.Generator) -> Samples:
    """Put the voice in a small room: the sound convolved with noise that dies away (60 dB in `decay_s`)."""
    length = round(decay_s * RATE_HZ)
    tail = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    tail *= wet / np.linalg.norm(tail)
    tail[0] = 1.0
    size = next_fast_len(len(samples) + length, real=True)
    wetted = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(tail, size), size)[: len(samples)]
    return np.asarray(wetted)


def background(count: int, level_db: float, rng: np.random.Generator) -> Samples:
    """Room noise, its power falling by 3 dB per octave, `level_db` under full scale."""
    size = next_fast_len(count, real=True)
    spectrum = np.fft.rfft(rng.standard_normal(size))
    frequency = np.maximum(np.fft.rfftfreq(size, 1 / RATE_HZ), 30)
    return set_level(np.fft.irfft(spectrum / np.sqrt(frequency), size)[:count], level_db)

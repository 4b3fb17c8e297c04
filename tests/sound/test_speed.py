"""Speed: a clip played faster is higher and shorter by the same factor, and a corpus like any other."""

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from avpretext import shards
from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.flow.artefacts import schema_of
from avpretext.flow.provenance import provenance
from avpretext.sound import speed
from avpretext.sound.audio_shards import decode, read_clips


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ)).astype("f4")


def pitch(signal: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal)), 1 << 18))
    return float(spectrum.argmax() * SAMPLE_RATE_HZ / (1 << 18))


def whole(signal: np.ndarray, factor: float) -> np.ndarray:
    return np.concatenate(list(speed.play([signal], factor)))


@pytest.mark.parametrize("factor", [0.84, 0.92, 1.08, 1.2])
def test_pitch_rises_and_length_falls_by_the_same_factor(factor: float) -> None:
    played = whole(tone(440), factor)
    assert len(played) == pytest.approx(SAMPLE_RATE_HZ / factor, abs=1)
    assert pitch(played) == pytest.approx(440 * factor, rel=1e-3)
    assert np.abs(played[1000:-1000]).max() == pytest.approx(0.5, abs=0.005)


def test_nothing_is_folded_down_from_above_half_the_sample_rate() -> None:
    played = whole(tone(7600), 1.2)
    assert np.abs(played[1000:-1000]).max() < 0.02


@pytest.mark.parametrize("factor", [0.5, 0.84, 0.97, 1.08, 1.2, 1.33, 2])
@pytest.mark.parametrize("block", [1, 37, 1000, 4099])
def test_blocks_give_the_same_samples_as_the_whole_to_the_bit(factor: float, block: int) -> None:
    signal = np.random.default_rng(3).normal(scale=0.4, size=4100).astype(np.float32)
    ratio = 1 / Fraction(factor).limit_denominator(100)
    expected = resample_poly(signal, ratio.numerator, ratio.denominator).clip(-1, 32767 / 32768)
    played = list(speed.play((signal[place : place + block] for place in range(0, len(signal), block)), factor))
    assert np.concatenate(played).tobytes() == expected.astype(np.float32).tobytes()
    assert len(played) > 1, "in several blocks"


def test_a_shard_is_played_clip_by_clip_and_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    file = io.BytesIO()
    soundfile.write(file, tone(440), SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    known = {"speaker": "s", "label": "a", "duration_s": 1.0, "samples": 16000, "content": "x", "fps": 25.0}
    rows = [
        {**known, "clip_id": clip, "audio": {"bytes": content, "path": f"{clip}.flac"}, "video_frames": 25}
        for clip, content in (("a", file.getvalue()), ("b", b"broken"), ("c", file.getvalue()))
    ]
    shards.write_table(tmp_path / "in.parquet", rows, schema_of("split.audio"), provenance("split", {}))
    for name, threads in (("one", 1), ("two", 2)):
        speed.run(tmp_path / "in.parquet", 1.25, tmp_path / f"{name}.parquet", threads)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    clips = {clip.clip_id: decode(clip) for clip in read_clips(tmp_path / "one.parquet")}
    assert list(clips) == ["a", "c"]
    assert pitch(clips["c"]) == pytest.approx(550, rel=1e-3)
    assert shards.read(tmp_path / "one.parquet", ["samples", "duration_s"]).row(0) == (12800, 0.8)

"""Speech features stand where the grid says, have the values of their formulas, and are openSMILE's own."""

import io
from pathlib import Path

import numpy as np
import opensmile
import pytest
import soundfile

from avpretext import shards
from avpretext.chunks import frame_count
from avpretext.config import SpeechOptions
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.sound import speech
from avpretext.sound.descriptors import LOUDNESS, frame_energy, open_descriptors

RATE = 16_000
SETS = ["ComParE_2016", "eGeMAPSv02"]


def noise(samples: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def tone(frequency_hz: float, seconds: float) -> np.ndarray:
    """Return a tone with harmonics, as a voice has them."""
    time_s = np.arange(int(seconds * RATE)) / RATE
    harmonics = [np.sin(2 * np.pi * order * frequency_hz * time_s) / order for order in range(1, 15)]
    return (0.1 * np.sum(harmonics, axis=0)).astype(np.float32)


def shard(path: Path, clips: dict[str, np.ndarray]) -> Path:
    """Write an audio shard of these signals."""
    rows = []
    for clip_id, signal in clips.items():
        encoded = io.BytesIO()
        soundfile.write(encoded, signal, RATE, "PCM_16", format="FLAC")
        audio = {"bytes": encoded.getvalue(), "path": f"{clip_id}.flac"}
        common = {"speaker": None, "label": None, "video_frames": 0, "fps": 25.0}
        row = {"clip_id": clip_id, "samples": len(signal), "duration_s": len(signal) / RATE, "audio": audio}
        rows.append(row | common)
    shards.write_table(path, rows, schema_of("split.audio"), {})
    return path


def run(folder: Path, clips: dict[str, np.ndarray], options: SpeechOptions | None = None, threads: int = 1) -> Path:
    audio = shard(folder / "it" / "split" / "audio" / "0000.parquet", clips)
    output = folder / "it" / "speech" / "0000.parquet"
    speech.run(audio, options or SpeechOptions(), output, output.parent / "rejects" / "0000.parquet", threads)
    return output


def test_energy_of_a_sine_is_its_amplitude_over_the_root_of_two():
    signal = 0.5 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)
    assert frame_energy(signal.astype(np.float32))[5:-5] == pytest.approx(0.5 / np.sqrt(2), rel=1e-4)


def test_energy_is_the_formula_at_every_frame():
    signal = noise(5000)
    energy = frame_energy(signal)
    assert len(energy) == 31
    for frame, value in enumerate(energy):
        around = signal[max(0, 160 * frame - 200) : 160 * frame + 200].astype(np.float64)
        assert value == pytest.approx(np.sqrt(np.mean(around**2)), rel=1e-5)


def test_energy_of_silence_is_zero():
    assert not frame_energy(np.concatenate([noise(1600), np.zeros(1600, np.float32)]))[-3:].any()


@pytest.mark.parametrize("feature_set", SETS)
@pytest.mark.parametrize("samples", [1, 159, 160, 700, 959, 960, 16_000, 16_159])
def test_every_clip_has_its_number_of_frames_and_no_gap(feature_set, samples):
    with open_descriptors(SpeechOptions(feature_set=feature_set)) as descriptors:
        values = descriptors.compute(noise(samples))
    assert values.shape == (max(1, samples // 160), len(descriptors.names))
    assert values.dtype == np.float32
    assert np.isfinite(values).all()
    assert frame_count(samples) == len(values)


@pytest.mark.parametrize("feature_set", SETS)
def test_silence_and_full_scale_have_values(feature_set):
    with open_descriptors(SpeechOptions(feature_set=feature_set)) as descriptors:
        assert np.isfinite(descriptors.compute(np.zeros(8000, np.float32))).all()
        square = np.sign(np.sin(2 * np.pi * 100 * np.arange(8000) / RATE) + 0.01).astype(np.float32)
        loud, nearly = descriptors.compute(square), descriptors.compute(square * 0.999)
    # Had +1.0 wrapped round to -1.0, the square wave would be a constant, and silent.
    assert descriptors.loudness(loud)[25] == pytest.approx(descriptors.loudness(nearly)[25], rel=0.01)


@pytest.mark.parametrize("feature_set", SETS)
def test_between_the_ends_the_values_are_opensmiles_own(feature_set):
    signal = tone(150, 2.0)
    signal[: RATE // 2] = 0  # jitter and shimmer are counted from the start of the voice
    signal += noise(2 * RATE) * 0.02
    plain = opensmile.Smile(feature_set, opensmile.FeatureLevel.LowLevelDescriptors)
    expected = plain.process_signal(signal, RATE)
    with open_descriptors(SpeechOptions(feature_set=feature_set)) as descriptors:
        values = descriptors.compute(signal)
    assert descriptors.names == list(expected.columns)
    frames = np.arange(20, 180)
    late = {1: 0, 3: 0}
    for column, name in enumerate(descriptors.names):
        if "Rfilt" in name or "Rasta" in name:
            continue  # the RASTA filter remembers where it started
        rows = expected[name].to_numpy()
        shift = next((s for s in (1, 3) if np.allclose(values[frames, column], rows[frames - s], rtol=1e-4)), None)
        assert shift is not None, name
        late[shift] += 1
    assert late[1] > 10
    assert late[3] > 5


@pytest.mark.parametrize("feature_set", SETS)
def test_an_onset_stands_at_its_time_in_short_and_long_windows(feature_set):
    signal = tone(200, 2.0)
    signal[:RATE] = 0
    with open_descriptors(SpeechOptions(feature_set=feature_set)) as descriptors:
        values = descriptors.compute(signal)
    loudness = descriptors.loudness(values)
    half = np.flatnonzero(loudness > loudness[150] / 2)[0]
    assert half == pytest.approx(100, abs=1)
    pitch = values[:, next(i for i, name in enumerate(descriptors.names) if name.startswith("F0"))]
    assert np.flatnonzero(pitch > 0)[0] == pytest.approx(100, abs=2)


def test_pitch_is_that_of_the_tone():
    with open_descriptors(SpeechOptions()) as descriptors:
        values = descriptors.compute(tone(200, 1.0))
    assert values[20:80, descriptors.names.index("F0final_sma")] == pytest.approx(200, rel=0.01)


def test_deltas_are_those_of_opensmile():
    signal = tone(150, 1.0) * np.linspace(0.2, 1, RATE, dtype=np.float32)
    plain = opensmile.Smile("ComParE_2016", opensmile.FeatureLevel.LowLevelDescriptors_Deltas)
    expected = plain.process_signal(signal, RATE)
    with open_descriptors(SpeechOptions(deltas=True)) as descriptors:
        values = descriptors.compute(signal)
    assert len(descriptors.names) == 130
    column = descriptors.names.index("pcm_RMSenergy_sma_de")
    assert values[20:80, column] == pytest.approx(expected["pcm_RMSenergy_sma_de"].to_numpy()[19:79], rel=1e-4)


def test_a_long_clip_in_pieces_is_the_same_as_in_one(monkeypatch):
    signal = np.concatenate([tone(pitch_hz, 0.7) * (pitch_hz % 3) for pitch_hz in range(100, 125)])
    signal += noise(len(signal)) * 0.02
    with open_descriptors(SpeechOptions()) as descriptors:
        whole = descriptors.compute(signal)
        monkeypatch.setattr("avpretext.sound.descriptors.PIECE_FRAMES", 600)
        pieces = descriptors.compute(signal)
    assert pieces.shape == whole.shape
    scale = whole.std(axis=0) + 1e-6
    assert (np.abs(pieces - whole) / scale).max() < 1e-3


def test_egemaps_has_no_deltas_and_says_so():
    with (
        pytest.raises(UserError, match="eGeMAPSv02 has no deltas"),
        open_descriptors(SpeechOptions(feature_set="eGeMAPSv02", deltas=True)),
    ):
        pass


@pytest.mark.parametrize("feature_set", SETS)
def test_the_shard_has_energy_loudness_and_all_descriptors(tmp_path, feature_set):
    clips = {"a": noise(16_100), "it's 😀": tone(120, 0.5), "short": noise(100)}
    options = SpeechOptions(feature_set=feature_set)
    table = shards.read(run(tmp_path, clips, options))
    assert table.columns[:5] == ["clip_id", "frame", "time_s", "energy", "loudness"]
    assert table["clip_id"].rle().struct.field("value").to_list() == list(clips)
    assert table["clip_id"].rle().struct.field("len").to_list() == [100, 50, 1]
    assert table["time_s"].to_list() == pytest.approx((table["frame"] * 0.01).to_list())
    assert table["loudness"].to_list() == table[LOUDNESS[feature_set]].to_list()
    numbers = table.select(table.columns[1:]).to_numpy()
    assert np.isfinite(numbers).all()
    first = table.head(100)["energy"].to_numpy()
    assert first == pytest.approx(frame_energy(clips["a"]), rel=1e-3)


def test_the_bytes_are_the_same_over_runs_and_threads(tmp_path):
    clips = {str(number): noise(8000 + 100 * number, number) for number in range(6)}
    contents = [run(tmp_path / name, clips, threads=threads).read_bytes() for name, threads in [("a", 1), ("b", 3)]]
    assert contents[0] == contents[1]
    assert contents[0] == run(tmp_path / "c", clips).read_bytes()


def test_audio_that_cannot_be_read_back_is_a_row_in_rejects(tmp_path):
    clips = {"a": noise(8000), "b": noise(8000)}
    audio = shard(tmp_path / "it" / "split" / "audio" / "0000.parquet", clips)
    rows = shards.read(audio).to_dicts()
    rows[0]["audio"]["bytes"] = b"no sound"
    shards.write_table(audio, rows, schema_of("split.audio"), {})
    speech.run(audio, SpeechOptions(), tmp_path / "out.parquet", tmp_path / "rejects.parquet")
    assert set(shards.read(tmp_path / "out.parquet")["clip_id"]) == {"b"}
    assert shards.read(tmp_path / "rejects.parquet")["reason"].to_list() == ["decode_error"]


def test_an_empty_shard_is_written_empty(tmp_path):
    assert shards.count_rows(run(tmp_path, {})) == 0

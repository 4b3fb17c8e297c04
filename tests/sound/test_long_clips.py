"""Clips of hours are worked on in pieces, and come to what they would be in one."""

from pathlib import Path

import numpy as np
import opensmile
import pyarrow as pa
import pytest
from tests.face.faces import resting_head

from avpretext import shards
from avpretext.action_units import measures
from avpretext.config import FunctionalOptions, LogMelOptions, SpeechOptions
from avpretext.face import geometry, landmarks, motion
from avpretext.face.landmarks import ClipSeen
from avpretext.face.tracker import Face
from avpretext.flow.artefacts import landmarks_schema, schema_of
from avpretext.sound import audio_shards, descriptors, functionals, log_mel, speech

from .test_speech import RATE, noise, shard

PIECE_FRAMES = 1000
"""Ten seconds, a multiple of what openSMILE (here) and the log-mel spectrogram are computed in."""


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "PIECE_FRAMES", PIECE_FRAMES)


def test_sound_in_pieces_is_the_same_as_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audio = shard(tmp_path / "it/split/audio/0.parquet", {"long": noise(25 * RATE + 77), "short": noise(RATE)})
    found = {}
    for name, frames in (("whole", 60_000), ("pieces", PIECE_FRAMES)):
        monkeypatch.setattr(audio_shards, "LONG_FRAMES", frames)
        speech.run(audio, SpeechOptions(feature_set="eGeMAPSv02"), tmp_path / name, tmp_path / "rejects", threads=2)
        log_mel.run(audio, LogMelOptions(), tmp_path / f"{name} mel")
        found[name] = shards.read(tmp_path / name), shards.read(tmp_path / f"{name} mel")
    (whole, mel), (pieces, mel_pieces) = found["whole"], found["pieces"]
    assert mel_pieces.equals(mel)
    assert pieces.drop("energy").equals(whole.drop("energy"))
    assert np.allclose(pieces["energy"], whole["energy"], rtol=1e-6, atol=0), "a sum that starts elsewhere"


def test_a_long_clip_that_breaks_off_is_refused_once_and_has_no_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio_shards, "LONG_FRAMES", PIECE_FRAMES)
    rows = shards.read(shard(tmp_path / "it/split/audio/0.parquet", {"long": noise(26 * RATE)})).to_dicts()
    whole = rows[0]["audio"]["bytes"]
    rows[0]["audio"]["bytes"] = whole[: len(whole) // 2] + bytes(len(whole) // 2)
    shards.write_table(tmp_path / "it/split/audio/1.parquet", rows, schema_of("split.audio"), {})
    options = SpeechOptions(feature_set="eGeMAPSv02")
    speech.run(tmp_path / "it/split/audio/1.parquet", options, tmp_path / "speech", tmp_path / "rejects")
    refused, kept = shards.read(tmp_path / "rejects"), shards.count_rows(tmp_path / "speech")
    assert (len(refused), kept) in {(1, 0), (0, 2600)}, "a decoder may also make silence of what is damaged"


def test_functionals_of_a_long_clip_are_those_of_its_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(functionals, "LONG_FRAMES", 200)
    options, signal = FunctionalOptions(feature_set="eGeMAPSv02"), noise(3 * RATE)
    audio = shard(tmp_path / "it/split/audio/0.parquet", {"long": signal})
    functionals.run(audio, options, tmp_path / "functionals")
    middle = audio_shards.decode(next(audio_shards.read_clips(audio)))[RATE : 2 * RATE]
    smile = opensmile.Smile(options.feature_set, opensmile.FeatureLevel.Functionals)
    expected = np.nan_to_num(functionals.functionals(middle, smile))
    assert np.array_equal(shards.read(tmp_path / "functionals")["values"][0].to_numpy(), expected)
    assert (
        "1 clips are longer than ten minutes and described by the five in their middle: long" in capsys.readouterr().err
    )


def test_a_face_in_blocks_moves_as_it_does_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    points = resting_head() * 100 + rng.normal(size=(2300, 68, 3))
    points[700:720] = np.nan
    shapes, frame = rng.random((2300, 52)), np.arange(2300, dtype=np.int32)
    found = []
    for block in (20_000, 500):
        monkeypatch.setattr(geometry, "BLOCK", block)
        monkeypatch.setattr(geometry, "AT_A_TIME", block)
        speeds = motion.region_speeds(points, frame, frame / 25, smooth_s=0.2)
        found.append((measures.measure(points, shapes), speeds))
    (measured, speeds), (measured_in_blocks, speeds_in_blocks) = found
    assert np.array_equal(measured, measured_in_blocks, equal_nan=True)
    for region, speed in speeds.items():
        assert np.allclose(speeds_in_blocks[region], speed, rtol=1e-9, atol=0, equal_nan=True)


def test_rows_that_wait_in_a_file_are_those_that_wait_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    points = (resting_head()[[0]].repeat(478, axis=0) + rng.normal(size=(478, 3))).astype(np.float32)
    face = Face(points, np.zeros(52, np.float32), 1)
    image = np.zeros((4, 4, 3), np.uint8)
    found = []
    for waiting in (1000, 7):
        monkeypatch.setattr(landmarks, "WAITING", waiting)
        clip = ClipSeen("clip", 478, landmarks_schema(478), tmp_path)
        for frame in range(40):
            clip.add(frame, frame / 25, image, face)
            assert not list(tmp_path.iterdir()), "the file that rows wait in has no name"
        found.append(pa.concat_tables(clip.take()))
    assert found[0].num_rows == clip.frames == clip.detected == 40
    assert found[1].equals(found[0])

"""From shards to normalised chunks."""

import numpy as np
import pytest
import torch

from avpretext.chunks import chunk_starts
from avpretext.errors import UserError
from avpretext.models.chunking import ChunkGrid
from avpretext.training.batches import normalise
from avpretext.training.data import SpeechChunks, concatenate, cut_clips, hidden_channels, load_chunks

from .conftest import CHANNELS, TinyCorpus, frames_of

GRID = ChunkGrid(20, 3)


def clips(*values: list[list[float]]) -> dict[str, np.ndarray]:
    return {f"clip{row}": np.array(frames, dtype=np.float32) for row, frames in enumerate(values)}


def normalised(chunks: SpeechChunks, train: list[int], by: str) -> torch.Tensor:
    return normalise(chunks, np.array(train), by).index_select(0, torch.arange(len(chunks)))


def test_shards_are_read_in_order_of_the_clips_whatever_the_order_of_the_shards(tiny: TinyCorpus) -> None:
    speakers = {row["clip_id"]: row["speaker"] for row in tiny.rows}
    chunks = load_chunks({"speech": tiny.speech}, speakers, ["*"], GRID)
    assert chunks.clip_ids == sorted(speakers)
    assert chunks.channels == ["energy", "loudness", *CHANNELS]
    again = load_chunks({"speech": tiny.speech[::-1]}, speakers, ["*"], GRID)
    assert torch.equal(chunks.steps, again.steps)


def test_chunks_are_the_frames_on_the_grid(tiny: TinyCorpus) -> None:
    row = tiny.rows[0]
    chunks = load_chunks({"speech": tiny.speech}, {row["clip_id"]: row["speaker"]}, ["mfcc_sma[1]"], GRID)
    frames = np.array([frame["mfcc_sma[1]"] for frame in frames_of(row)], dtype=np.float32)
    for chunk, first in enumerate(chunk_starts(len(frames), 20, 3).tolist()):
        assert chunks.steps[0, chunk, :, 0].tolist() == frames[first : first + 20].tolist()


def test_clips_without_speech_are_left_out_with_a_warning(tiny: TinyCorpus, capsys: pytest.CaptureFixture[str]) -> None:
    chunks = load_chunks({"speech": tiny.speech}, {"s0_0": "s0", "refused": "s9"}, ["*"], GRID)
    assert chunks.clip_ids == ["s0_0"]
    assert "1 of 2 clips" in capsys.readouterr().err
    with pytest.raises(UserError, match="none of 1 clips is in the speech shards"):
        load_chunks({"speech": tiny.speech}, {"refused": "s9"}, ["*"], GRID)


def test_normalisation_knows_the_training_frames_only() -> None:
    chunks = cut_clips(
        clips([[1.0], [3.0]], [[5.0], [7.0]], [[100.0], [-100.0]]), {f"clip{row}": "s" for row in range(3)}, ["x"],
        ChunkGrid(2, 1),
    )  # fmt: skip
    normal = normalised(chunks, [0, 1], "train")[:, 0, :, 0]
    # Frames 1, 3, 5, 7: mean 4, deviation sqrt(5); the third clip is far off and clipped to 3 deviations
    expected = np.array([[-3, -1], [1, 3]]) / np.sqrt(5)
    np.testing.assert_allclose(normal[:2].numpy(), expected, rtol=1e-6)
    assert normal[2].tolist() == [3.0, -3.0]


def test_normalisation_by_speaker_takes_each_speakers_own_frames() -> None:
    chunks = cut_clips(
        clips([[1.0], [3.0]], [[5.0], [7.0]], [[100.0], [-100.0]]), {"clip0": "a", "clip1": "b", "clip2": "b"}, ["x"],
        ChunkGrid(2, 1),
    )  # fmt: skip
    normal = normalised(chunks, [0], "speaker")[:, 0, :, 0]
    assert normal[0].tolist() == [-1.0, 1.0]
    frames = np.array([5, 7, 100, -100])
    np.testing.assert_allclose(normal[1].numpy(), (frames[:2] - frames.mean()) / frames.std(), rtol=1e-5)


def test_a_whole_corpus_is_normalised_as_one_speaker_and_its_copy_as_another() -> None:
    parts = {"ours": [[1.0]], "urdu": [[5.0], [9.0]], "urdu@0.9": [[1.0], [3.0]]}
    chunks = concatenate(
        {
            name: cut_clips(
                clips(*[[value] for value in values]),
                {f"clip{number}": f"speaker{number}" for number in range(len(values))},
                ["x"],
                ChunkGrid(1, 1),
            )
            for name, values in parts.items()
        }
    )
    steps = normalise(chunks, np.array([0]), "speaker", whole=["urdu"])
    normal = steps.index_select(0, torch.arange(len(chunks))).flatten()
    assert normal.tolist() == [0.0, -1.0, 1.0, -1.0, 1.0]


def test_nan_and_padding_and_constants_become_zero() -> None:
    chunks = cut_clips(
        clips([[np.nan, 5.0], [2.0, 5.0], [4.0, 5.0]]), {"clip0": "a"}, ["x", "constant"], ChunkGrid(4, 1)
    )
    normal = normalised(chunks, [0], "train")[0, 0]
    assert normal.tolist() == [[0.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]


def test_the_energy_of_both_feature_sets_is_hidden() -> None:
    from avpretext.config import PretrainOptions

    energetic = [
        "energy", "loudness", "pcm_RMSenergy_sma", "audspec_lengthL1norm_sma", "audspecRasta_lengthL1norm_sma",
        "pcm_fftMag_fband250-650_sma", "pcm_fftMag_fband1000-4000_sma", "pcm_fftMag_spectralFlux_sma",
        "pcm_fftMag_spectralSlope_sma", "pcm_fftMag_spectralHarmonicity_sma", "pcm_RMSenergy_sma_de",
        "Loudness_sma3", "spectralFlux_sma3", "slope0-500_sma3", "slope500-1500_sma3",
    ]  # fmt: skip
    others = ["F0final_sma", "pcm_zcr_sma", "mfcc_sma[1]", "audSpec_Rfilt_sma[3]", "mfcc1_sma3", "alphaRatio_sma3"]
    patterns = PretrainOptions().hidden_channels
    assert hidden_channels(energetic, patterns).all()
    assert not hidden_channels(others, patterns).any()


def test_what_a_quieter_microphone_changes_is_hidden() -> None:
    """A channel that follows the gain carries energy: openSMILE itself says which those are."""
    opensmile = pytest.importorskip("opensmile")
    from avpretext.config import PretrainOptions

    rng = np.random.default_rng(0)
    time_s = np.arange(32_000) / 16_000
    voice = sum(np.sin(2 * np.pi * 140 * k * time_s) / k for k in range(1, 20)) * (1.2 + np.sin(2 * np.pi * 3 * time_s))
    signal = (0.1 * (voice + 0.05 * rng.normal(size=len(time_s)))).astype(np.float32)
    for feature_set in (opensmile.FeatureSet.ComParE_2016, opensmile.FeatureSet.eGeMAPSv02):
        smile = opensmile.Smile(feature_set, opensmile.FeatureLevel.LowLevelDescriptors)
        loud, quiet = (smile.process_signal(gain * signal, 16_000).to_numpy()[10:-10] for gain in (1.0, 0.5))
        change = np.abs(loud - quiet).mean(0) / (np.abs(loud).mean(0) + 1e-6)
        hidden = hidden_channels(smile.feature_names, PretrainOptions().hidden_channels)
        follows = dict(zip(smile.feature_names, change, strict=True))
        seen = [
            name for name, hide in zip(smile.feature_names, hidden, strict=True) if not hide and follows[name] > 0.25
        ]
        assert seen == []

"""A model that hears files: what it says is what its networks say of the features of the stages."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import avpretext
from avpretext import shards
from avpretext.config import LogMelOptions, MediaOptions, SpeechOptions
from avpretext.errors import RefusedFile, UserError
from avpretext.flow.artefacts import schema_of
from avpretext.media import split
from avpretext.predict.model import Model
from avpretext.predict.result import Prediction, Refused
from avpretext.sound import log_mel, speech
from avpretext.training import model_folder
from avpretext.training.batches import normalise
from avpretext.training.data import chunk_grid, in_deviations, load_chunks
from avpretext.training.objectives import TASK, outputs_of

from .conftest import CHANNELS, MEDIA, MakeModel, speechlike

MakeWav = Callable[..., Path]


@pytest.fixture(autouse=True)
def all_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take everything for speech: what `speechlike` makes is none to a network that knows speech."""
    monkeypatch.setattr("avpretext.predict.hearing.spoken", lambda part: np.ones(part.stop - part.first, np.float32))


def by_the_stages(folder: Path, files: list[Path], speakers: list[str], work: Path) -> np.ndarray:
    """Return what a model says of files (N, C) by way of the workflow's stages: split, speech, log_mel, chunks."""
    trained = model_folder.read(folder)
    said = trained.description
    common = files[0].parent
    index = [
        {"clip_id": f"{place:03d}", "path": str(file.relative_to(common)), "speaker": who}
        for place, (file, who) in enumerate(zip(files, speakers, strict=True))
    ]
    shards.write_table(work / "index.parquet", index, schema_of("index"), {})
    options = MediaOptions(**said.media.model_dump())
    audio, features = work / "corpus/split/audio/0.parquet", {}
    split.run(work / "index.parquet", common, options, audio, None, work / "rejects.parquet")
    speech.run(audio, SpeechOptions(), work / "speech.parquet", work / "refused.parquet")
    log_mel.run(audio, said.log_mel or LogMelOptions(), work / "log_mel.parquet")
    features = {name: [work / f"{name}.parquet"] for name in said.model.features}
    of_clip = {row["clip_id"]: row["speaker"] for row in index}
    chunks = load_chunks(features, of_clip, said.channels, chunk_grid(said.chunks, said.model.step_frames))
    order = [chunks.channels.index(name) for name in said.channels]
    assert order == sorted(order), "channels are in the order of the shards"
    if trained.normalisation is None:
        rows = np.arange(len(files))
        steps = normalise(chunks, rows, "speaker").index_select(0, torch.from_numpy(rows))
    else:
        steps = in_deviations(chunks.steps, trained.normalisation.mean, trained.normalisation.deviation)
        steps = steps * chunks.mask.unsqueeze(-1)
    with torch.no_grad():
        logits = [network(steps, chunks.mask)[TASK] for network in trained.networks]
    return np.mean([outputs_of(said.kind, values, trained.scales) for values in logits], axis=0)


@pytest.fixture
def clips(make_wav: MakeWav, tmp_path: Path) -> list[Path]:
    """Four clips: 16 kHz, another rate, short, FLAC."""
    made = [make_wav("0.wav", 2.0, 1), make_wav("1.wav", 1.3, 2, 44_100), make_wav("2.wav", 0.35, 3)]
    flac = tmp_path / "sound" / "3.flac"
    soundfile.write(flac, np.concatenate([np.zeros(12_000), speechlike(1.5, 4), np.zeros(9_000)]), 16_000, "PCM_16")
    return [*made, flac]


KINDS: list[dict[str, Any]] = [
    {"kind": "hard"},
    {"kind": "multi_label"},
    {"kind": "distribution"},
    {"kind": "attribute", "classes": ["arousal"], "scale": (3.0, 1.5)},
    {"model": {"features": ["log_mel"]}, "channels": ["mel[0]", "mel[9]"], "speech": None},
    {"model": {"features": ["speech"], "encoder": "blstm"}, "channels": CHANNELS[:5], "log_mel": None},
    {"media": MEDIA.model_copy(update={"trim_db": 30.0})},
    {"model": {"normalise": "speaker"}},
]


@pytest.mark.parametrize("changes", KINDS, ids=lambda changes: " ".join(map(str, changes.values()))[:40])
def test_it_says_what_the_workflow_says(
    make_model: MakeModel, clips: list[Path], tmp_path: Path, changes: dict[str, Any]
) -> None:
    folder, who = make_model(**changes), ["ann", "bob", "ann", "bob"]
    said = list(avpretext.load(folder).predict_many(clips, speakers=who, threads=2))
    expected = by_the_stages(folder, clips, who, tmp_path)
    assert all(isinstance(one, Prediction) for one in said)
    found = np.concatenate([one.probabilities for one in said if isinstance(one, Prediction)])
    assert found == pytest.approx(expected, abs=1e-5)
    assert np.ptp(found, axis=0).max() > 1e-3, "the clips are told apart"


def test_silence_is_cut_off_as_in_training(make_model: MakeModel, clips: list[Path]) -> None:
    trimming = avpretext.load(make_model("trim", media=MEDIA.model_copy(update={"trim_db": 30.0})))
    said = trimming.predict(clips[3])
    assert 0.55 < said.start_s[0] < 0.75, "the silence of 12,000 samples, but for a margin"
    assert 2.25 < said.end_s[0] < 2.45
    whole = avpretext.load(make_model("whole")).predict(clips[3])
    assert (whole.start_s[0], whole.end_s[0]) == (0.0, 2.8125)


def test_numbers_are_heard_as_the_file_that_holds_them(make_model: MakeModel, make_wav: MakeWav) -> None:
    model = avpretext.load(make_model())
    file = make_wav("a.wav", 1.5)
    expected = model.predict(file).probabilities
    floats, _ = soundfile.read(file, dtype="float32")
    integers, _ = soundfile.read(file, dtype="int16")
    for samples in (floats, integers, floats.astype(np.float64), floats[:, None]):
        assert np.array_equal(model.predict(samples, 16_000).probabilities, expected)
    both = model.predict(np.stack([floats, floats], axis=1), 16_000)
    assert both.probabilities == pytest.approx(expected, abs=1e-3), "two channels are mixed"
    assert both.source == "array"
    high = make_wav("b.wav", 1.5, rate=44_100)
    signal, _ = soundfile.read(high, dtype="float32")
    assert model.predict(signal, 44_100).probabilities == pytest.approx(model.predict(high).probabilities, abs=1e-4)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(16_000), None, "need their rate"),
        (np.zeros(16_000), 8, "need their rate"),
        (np.zeros((2, 16_000)), 16_000, r"transpose \(channels, samples\)"),
        (np.zeros(16_000, np.int32), 16_000, "samples of type int32"),
        (np.array([0.0, np.nan] * 9_000), 16_000, "NaN or infinite"),
        (np.zeros(100), 16_000, "array: too_short: 0.006 s"),
        (np.zeros(0), 16_000, "array: no_audio"),
    ],
)
def test_numbers_that_are_no_sound_are_said_so(
    make_model: MakeModel, samples: np.ndarray, rate: int | None, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        avpretext.load(make_model()).predict(samples, rate)


def test_a_window_as_long_as_the_clip_says_what_the_clip_says(make_model: MakeModel, make_wav: MakeWav) -> None:
    model, file = avpretext.load(make_model()), make_wav("a.wav", 3.0)
    whole = model.predict(file)
    assert model.predict(file, along_time=(3, 1)).probabilities == pytest.approx(whole.probabilities, abs=1e-6)
    along = model.predict(file, along_time=(1.5, 0.5))
    assert along.start_s.tolist() == [0.0, 0.5, 1.0, 1.5]
    assert along.end_s.tolist() == [1.5, 2.0, 2.5, 3.0]
    assert np.ptp(along.probabilities, axis=0).max() > 0.001


def test_a_window_says_what_a_file_cut_there_says_but_for_its_edges(make_model: MakeModel, tmp_path: Path) -> None:
    model, file = avpretext.load(make_model()), tmp_path / "a.wav"
    changing = [speechlike(5.0, seed) * (0.2 + seed % 3) / 3 for seed in range(15)]
    soundfile.write(file, np.concatenate(changing), 16_000, "PCM_16")
    along = model.predict(file, along_time=(5, 5))
    assert len(along) == 15
    samples, rate = soundfile.read(file, dtype="int16")
    cuts = [samples[rate * start : rate * (start + 5)] for start in range(0, 75, 5)]
    alone = np.concatenate([model.predict(cut, rate).probabilities for cut in cuts])
    assert np.abs(along.probabilities - alone).max() < 0.15 * np.ptp(alone, axis=0).max()


def test_a_model_of_whole_corpora_normalises_all_files_together_and_asks_for_no_speakers(
    make_model: MakeModel, clips: list[Path], tmp_path: Path
) -> None:
    learnt = {"urdu": {"clips": 4, "speakers": 4, "hours": 0.1}}
    model = {"normalise": "speaker", "whole_corpora": ["urdu"]}
    folder = make_model(corpora=learnt, model=model)
    said = [part.probabilities[0] for part in avpretext.load(folder).predict_many(clips)]
    assert np.array(said) == pytest.approx(by_the_stages(folder, clips, ["one"] * 4, tmp_path), abs=1e-5)
    mixed = make_model("mixed", corpora={**learnt, "ours": learnt["urdu"]}, model=model)
    with pytest.raises(UserError, match="say who speaks"):
        list(avpretext.load(mixed).predict_many(clips))


def test_along_time_by_speaker_is_normalised_by_the_whole_recording(
    make_model: MakeModel, make_wav: MakeWav, tmp_path: Path
) -> None:
    folder = make_model(model={"normalise": "speaker"})
    model, file = avpretext.load(folder), make_wav("a.wav", 4.0)
    along = model.predict(file, along_time=(4, 4), speaker="ann")
    assert along.probabilities == pytest.approx(by_the_stages(folder, [file], ["ann"], tmp_path), abs=1e-5)
    assert len(model.predict(file, along_time=(1, 0.5), speaker="ann")) == 7


def test_who_speaks_must_be_said_where_it_matters(make_model: MakeModel, make_wav: MakeWav) -> None:
    model, file = avpretext.load(make_model(model={"normalise": "speaker"})), make_wav("a.wav")
    with pytest.raises(UserError, match="say who speaks in each file, by --speakers one, folder, file"):
        model.predict(file)
    with pytest.raises(UserError, match="say who speaks"):
        model.predict_many([file, file], speakers=["ann"])


def test_a_bad_file_is_refused_among_good_ones(make_model: MakeModel, make_wav: MakeWav, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    half = make_wav("half.wav", 3.0)
    half.write_bytes(half.read_bytes()[:40_000])
    files = [make_wav("a.wav"), text, half, make_wav("b.wav", 0.1), tmp_path / "gone.wav", make_wav("c.wav")]
    for who in (None, ["ann"] * 6):
        model = avpretext.load(make_model(str(who), model={"normalise": "speaker" if who else "train"}))
        said = list(model.predict_many(files, speakers=who))
        reasons = [one.reason if isinstance(one, Refused) else "" for one in said]
        assert reasons == ["", "not_media", "truncated", "too_short", "missing_file", ""]
    with pytest.raises(RefusedFile, match=r"text\.mp4: not_media") as error:
        avpretext.load(make_model()).predict(text)
    assert error.value.reason == "not_media"


def test_a_recording_that_breaks_off_ends_with_why(make_model: MakeModel, make_wav: MakeWav) -> None:
    import subprocess

    from avpretext.media.ffmpeg import program

    wav = make_wav("a.wav", 90.0)
    film = wav.with_suffix(".mkv")
    subprocess.run([program("bundled"), "-loglevel", "error", "-i", wav, "-c:a", "aac", film], check=True)
    whole, kept = film.read_bytes(), film.stat().st_size * 9 // 10
    film.write_bytes(whole[:kept] + bytes(len(whole) - kept))  # as long as it declares, and empty at its end
    said = list(avpretext.load(make_model()).predict_many([film], along_time=(10, 10)))
    assert isinstance(said[0], Prediction)
    assert isinstance(said[-1], Refused)
    assert said[-1].reason == "truncated"


def test_a_clip_that_is_too_long_is_refused_with_the_way_out(make_model: MakeModel, make_wav: MakeWav) -> None:
    folder = make_model(media=MEDIA.model_copy(update={"max_duration_s": 5.0}))
    model, file = avpretext.load(folder), make_wav("a.wav", 8.0)
    with pytest.raises(RefusedFile, match=r"too_long.*hear it along time"):
        model.predict(file)
    assert len(model.predict(file, along_time=(4, 2))) == 3


def test_the_published_chunks_need_a_chunk(make_model: MakeModel, make_wav: MakeWav) -> None:
    model = avpretext.load(make_model(chunks={"method": "published", "length_s": 0.5, "count": 3}))
    with pytest.raises(RefusedFile, match=r"too_short: 0\.40 s; chunks\.method: published needs 0\.5 s"):
        model.predict(make_wav("a.wav", 0.4))
    with pytest.raises(UserError, match=r"which needs 0\.5 s at least"):
        model.predict(make_wav("b.wav", 2.0), along_time=(0.4, 0.4))
    assert len(model.predict(make_wav("b.wav", 2.2), along_time=(1, 1))) == 2, "the rest of .2 s is no chunk"


def test_a_result_tells_itself(make_model: MakeModel, make_wav: MakeWav) -> None:
    model = avpretext.load(make_model())
    said = model.predict(make_wav("a.wav"))
    assert said.label == max(said.by_name(), key=lambda name: said.by_name()[name])
    assert said.labels == [said.label]
    assert sum(said.by_name().values()) == pytest.approx(1)
    assert str(said).endswith(")")
    assert "acted.speaker_kfold, angry, happy, sad" in repr(model)
    assert isinstance(model, Model)
    assert torch.get_num_threads() == 1, "threads of torch are as they were"

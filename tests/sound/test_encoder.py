"""Hidden states of a pre-trained encoder stand where their times say; models that are none of speech are refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from avpretext import shards
from avpretext.chunks import chunk_places
from avpretext.config import ChunkOptions, Config
from avpretext.config_file import parse
from avpretext.demo import random_encoder
from avpretext.errors import UserError
from avpretext.options.pretrained_encoders import EncoderOptions
from avpretext.sound import encoder, encoder_fetch, encoder_files, encoder_live
from avpretext.sound.audio_shards import EncodedClip, read_clips
from avpretext.sound.encoder_model import Batches, Rows, SpeechEncoder
from avpretext.sound.encoder_pooling import means

from .test_speech import RATE, shard

KINDS = ("wav2vec2", "hubert", "data2vec", "wavlm", "whisper", "w2vbert")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny models of every kind."""
    folder = tmp_path_factory.mktemp("models")
    for kind in (*KINDS, "bert"):
        random_encoder.write(kind, folder / kind)
    return folder


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE))


def config(**options: Any) -> Config:
    corpora = {"it": {"path": ".", "use": []}}
    return parse({"corpora": corpora, "encoders": {"it": options}, "chunks": {"length_s": 0.4, "count": 3}})


def opened(folder: Path, **options: Any) -> SpeechEncoder:
    said = EncoderOptions(folder=str(folder), **options)
    return SpeechEncoder(encoder_files.find("it", said), said)


def run(below: Path, clips: dict[str, np.ndarray], threads: int = 1, **options: Any) -> Path:
    audio = shard(below / "it" / "split" / "audio" / "0000.parquet", clips)
    output = below / "it" / "encoder" / f"{threads}" / "0000.parquet"
    encoder.run("it", audio, config(**options), output, threads)
    return output


def values_of(output: Path, clip_id: str) -> np.ndarray:
    rows = shards.read(output).filter(clip_id=clip_id)
    said = shards.read_provenance(output)
    values = np.array(rows["values"].to_list(), dtype=np.float32)
    return values.reshape(len(rows), len(said["layers"]), said["size"])


def clips_of(*seconds: float) -> dict[str, np.ndarray]:
    return {f"c{place}": noise(length, seed=place) for place, length in enumerate(seconds)}


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_those_that_transformers_computes(models: Path, kind: str, tmp_path: Path):
    clips = clips_of(1.0)
    output = run(tmp_path, clips, folder=str(models / kind), pool="frames", dtype="float32")
    extractor = transformers.AutoFeatureExtractor.from_pretrained(models / kind)
    model = transformers.AutoModel.from_pretrained(models / kind).eval()
    model = model.get_encoder() if model.config.is_encoder_decoder else model
    signal = np.round(clips["c0"] * 32768).astype(np.float32) / 32768  # as FLAC holds it
    inputs = extractor(signal, sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        states = model(inputs[model.main_input_name], output_hidden_states=True).hidden_states
    found = values_of(output, "c0")
    expected = torch.stack([state[0] for state in states], 1).numpy()
    assert len(found) == {"whisper": 50}.get(kind, 49)
    assert found == pytest.approx(expected[: len(found)], abs=2e-5)


@pytest.mark.parametrize(
    ("kind", "first", "rows"), [("wavlm", 0.0125, 149), ("whisper", 0.0, 150), ("w2vbert", 0.0175, 149)]
)
def test_rows_are_20_ms_apart_from_the_middle_of_the_first(
    models: Path, kind: str, first: float, rows: int, tmp_path: Path
):
    output = run(tmp_path, clips_of(3.0), folder=str(models / kind), pool="frames")
    times = shards.read(output)["time_s"].to_numpy()
    assert times == pytest.approx(first + 0.02 * np.arange(rows))


@pytest.mark.parametrize("kind", ["wavlm", "whisper"])
def test_a_click_is_where_the_times_say(models: Path, kind: str, tmp_path: Path):
    # Without a norm over all of a signal; Whisper's spectrogram is cut 80 dB below its loudest, the first click.
    folder = models / kind if kind == "whisper" else random_encoder.write(kind, tmp_path, feat_extract_norm="layer")
    once = np.random.default_rng(0).normal(0, 1e-3, 32_000).astype(np.float32)
    once[4_800:4_880] = 0.9
    twice = once.copy()
    twice[19_960:20_040] = 0.5
    before, after = (opened(folder).rows([signal])[0] for signal in (once, twice))
    changed = np.abs(after.values[:, 0] - before.values[:, 0]).sum(1)
    reach = after.times_s[changed > 1e-3 * changed.max()]
    assert abs((reach.min() + reach.max()) / 2 - 1.25) < 0.025
    assert reach.max() - reach.min() < 0.4


def test_the_mean_of_a_chunk_is_over_the_rows_whose_middle_lies_in_it(models: Path, tmp_path: Path):
    clips = clips_of(1.3)
    frames = run(tmp_path / "frames", clips, folder=str(models / "wavlm"), pool="frames", dtype="float32")
    chunks = run(tmp_path / "chunks", clips, folder=str(models / "wavlm"), dtype="float32")
    clip = run(tmp_path / "clip", clips, folder=str(models / "wavlm"), pool="clip", dtype="float32")
    rows, times = values_of(frames, "c0"), shards.read(frames)["time_s"].to_numpy()
    starts, spans = chunk_places(np.array([130]), 40, 3)
    for chunk, start in enumerate(starts[0] / 100):
        inside = (times >= start) & (times < start + spans[0] / 100)
        assert values_of(chunks, "c0")[chunk] == pytest.approx(rows[inside].mean(0), abs=1e-6)
    assert values_of(clip, "c0")[0] == pytest.approx(rows.mean(0), abs=1e-6)
    assert shards.read(chunks)["time_s"].to_list() == pytest.approx([0.22, 0.65, 1.08])


def test_a_chunk_without_a_middle_takes_the_nearest_row():
    values = np.arange(3, dtype=np.float32).reshape(3, 1, 1)
    found = means(values, np.array([0.0125, 0.0325, 0.0525]), np.array([[2, 3], [9, 10]]))
    assert found.ravel().tolist() == [1.0, 2.0]


def test_the_number_of_threads_changes_no_byte(models: Path, tmp_path: Path):
    clips = clips_of(0.5, 1.4, 0.9, 2.2, 0.01)
    one, three = (
        shards.read(run(tmp_path, clips, threads, folder=str(models / "hubert"), dtype="float32")) for threads in (1, 3)
    )
    assert one.equals(three)


@pytest.mark.parametrize("kind", KINDS)
def test_short_and_silent_clips_have_finite_rows(models: Path, kind: str, tmp_path: Path):
    clips = {"one": np.full(1, 0.5), "short": noise(0.02), "silent": np.zeros(16_000)}
    output = run(tmp_path, clips, folder=str(models / kind), pool="frames")
    found = shards.read(output).group_by("clip_id", maintain_order=True).len()
    assert found["clip_id"].to_list() == list(clips)
    assert found["len"].to_list()[0] == 1
    assert all(np.isfinite(values_of(output, clip_id)).all() for clip_id in clips)


def test_chosen_layers_are_those_of_all(models: Path, tmp_path: Path):
    every = run(tmp_path / "all", clips_of(1.0), folder=str(models / "wavlm"))
    some = run(tmp_path / "some", clips_of(1.0), folder=str(models / "wavlm"), layers=[2, 0])
    assert (values_of(some, "c0") == values_of(every, "c0")[:, [2, 0]]).all()
    with pytest.raises(UserError, match=r"encoders.it.layers: 3 is none of its layers, 0 to 2"):
        run(tmp_path / "none", clips_of(1.0), folder=str(models / "wavlm"), layers=[3])


def test_a_long_clip_is_encoded_in_equal_pieces(models: Path, tmp_path: Path):
    signal = noise(5.0)
    pieces = encoder.cut(signal.astype(np.float32), 2.0)
    assert [len(piece) for piece in pieces] == [26880, 26560, 26560]
    whole = run(tmp_path, {"c0": signal}, folder=str(models / "wavlm"), pool="frames", window_s=2.0, dtype="float32")
    alone = run(
        tmp_path / "b", {"c0": signal[26880:53440]}, folder=str(models / "wavlm"), pool="frames", dtype="float32"
    )
    times = shards.read(whole)["time_s"].to_numpy()
    inside = np.flatnonzero((times >= 1.68) & (times < 3.34))
    assert (np.diff(times) > 0).all()
    assert values_of(whole, "c0")[inside] == pytest.approx(values_of(alone, "c0"), abs=1e-5)


@pytest.mark.parametrize("window_s", [1e-6, 0.03, 1.01, 30.0])
def test_no_piece_is_longer_than_the_window_and_none_is_empty(window_s: float):
    longest = max(320, window_s * RATE)
    for samples in (*range(1, 5000, 7), 3 * round(longest) - 288, 3 * round(longest) + 1):
        pieces = [len(piece) for piece in encoder.cut(np.zeros(samples, np.float32), window_s)]
        assert (sum(pieces), min(pieces) > 0, max(pieces) <= longest) == (samples, True, True)


@pytest.mark.parametrize(
    ("kind", "size", "pads"),
    [("wavlm", "tiny", False), ("wav2vec2", "masked", True), ("w2vbert", "tiny", True), ("whisper", "tiny", True)],
)
def test_batches_give_what_single_clips_give(models: Path, kind: str, size: str, pads: bool, tmp_path: Path):
    folder = models / kind
    if size == "masked":
        folder = random_encoder.write(kind, tmp_path / "m", feat_extract_norm="layer")
        said = json.loads((folder / "preprocessor_config.json").read_text())
        (folder / "preprocessor_config.json").write_text(json.dumps({**said, "return_attention_mask": True}))
    model = opened(folder)
    signals = [noise(length, seed=3).astype(np.float32) for length in (1.0, 0.7, 1.0, 0.4, 0.01)]
    assert model.pads is pads
    for batched, alone in zip(Batches(model, 60).rows(signals), model.rows_of_each(signals), strict=True):
        assert batched.times_s.tolist() == alone.times_s.tolist()
        assert batched.values == pytest.approx(alone.values, abs=2e-4)


def test_batches_keep_the_order_of_clips_long_and_broken_ones_among_them(models: Path, tmp_path: Path):
    clips = clips_of(0.9, 2.5, 0.3, 1.4, 0.9, 0.01)
    audio = shard(tmp_path / "audio.parquet", clips)
    given = [*read_clips(audio)]
    given.insert(2, EncodedClip("broken", b"no FLAC"))
    options = EncoderOptions(folder=str(models / "w2vbert"), window_s=1.0, batch_s=1.0)
    model = SpeechEncoder(encoder_files.find("it", options), options)
    batched = list(encoder.in_batches(model, options, iter(given)))
    alone = list(encoder.encode_all(model, options, iter(given), threads=2))
    assert [one.clip_id for one in batched] == [one.clip_id for one in alone] == [clip.clip_id for clip in given]
    for one, other in zip(batched, alone, strict=True):
        assert (one.rows is None) == (other.rows is None) == (one.clip_id == "broken")
        if one.rows and other.rows:
            assert one.frames == other.frames
            assert one.rows.times_s == pytest.approx(other.rows.times_s)
            assert one.rows.values == pytest.approx(other.rows.values, abs=2e-4)


def test_a_batch_of_whisper_counts_the_silence_up_to_30_s(models: Path):
    model = opened(models / "whisper")
    sizes, rows = [], model.rows

    def counted(signals: list[np.ndarray]) -> list[Rows]:
        sizes.append(len(signals))
        return rows(signals)

    model.rows = counted  # type: ignore[method-assign]
    Batches(model, 60).rows([noise(1.0).astype(np.float32)] * 5)
    assert sizes == [2, 2, 1]


def test_a_full_gpu_halves_the_batch_and_says_so(models: Path, capsys: pytest.CaptureFixture[str]):
    model = opened(models / "w2vbert")
    sizes, rows = [], model.rows

    def limited(signals: list[np.ndarray]) -> list[Rows]:
        sizes.append(len(signals))
        if len(signals) > 2:
            raise torch.OutOfMemoryError
        return rows(signals)

    model.rows = limited  # type: ignore[method-assign]
    found = Batches(model, 60).rows([noise(1.0).astype(np.float32)] * 5)
    assert (len(found), sizes) == (5, [5, 2, 2, 1])
    assert "batches of 2 s from now on (2 clips where there were 5)" in capsys.readouterr().err
    model.rows = lambda signals: limited([*signals, *signals, *signals])  # type: ignore[method-assign]
    with pytest.raises(UserError, match=r"does not hold 1 s of speech: lower encoders.it.window_s"):
        Batches(model, 60).rows([noise(1.0).astype(np.float32)])


def test_the_provenance_has_the_sha256_of_weights_and_configuration(models: Path, tmp_path: Path):
    output = run(tmp_path, clips_of(0.5), folder=str(models / "wavlm"))
    said = shards.read_provenance(output)
    assert set(said["models"]) == {"config.json", "preprocessor_config.json", "model.safetensors"}
    assert said["models"]["model.safetensors"] == encoder_files._sha256(models / "wavlm" / "model.safetensors")
    assert (said["encoder"], said["kind"], said["layers"], said["size"]) == ("it", "wavlm", [0, 1, 2], 16)


def refused(folder: Path, tmp_path: Path, **options: Any) -> str:
    with pytest.raises(UserError) as error:
        run(tmp_path, clips_of(0.5), folder=str(folder), **options)
    assert not list(tmp_path.glob("it/encoder/**/*.parquet"))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def broken(models: Path, tmp_path: Path) -> Path:
    """A copy of a model, to be broken."""
    return Path(shutil.copytree(models / "wavlm", tmp_path / "broken"))


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_a_folder_without_weights_is_refused(broken: Path, tmp_path: Path):
    (broken / "model.safetensors").unlink()
    assert "no weights (model.safetensors); fetch the model again" in refused(broken, tmp_path)
    assert "no such folder" in refused(broken / "nowhere", tmp_path)
    (broken / "config.json").unlink()
    assert "no config.json, so no model of transformers" in refused(broken, tmp_path)


def test_pickled_weights_are_refused_and_can_be_converted(broken: Path, models: Path, tmp_path: Path):
    state = transformers.AutoModel.from_pretrained(broken).state_dict()
    (broken / "model.safetensors").unlink()
    torch.save(state, broken / "pytorch_model.bin")
    assert f"avpretext models it {broken} --convert" in refused(broken, tmp_path)
    said = encoder_fetch.run("it", None, broken, convert=True)
    assert "wavlm, 3 layers of 16 numbers (0 to 2)" in said
    assert f'encoders: {{it: {{folder: "{broken}"}}}}' in said
    clips = clips_of(0.5)
    once, again = (run(tmp_path / folder.name, clips, folder=str(folder)) for folder in (broken, models / "wavlm"))
    assert shards.read(once).equals(shards.read(again))


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path("evil").touch, ())


def test_pickles_that_hold_more_than_weights_are_not_opened(broken: Path):
    (broken / "model.safetensors").unlink()
    torch.save({"weight": torch.zeros(1), "more": Evil()}, broken / "pytorch_model.bin")
    with pytest.raises(UserError, match="holds more than weights, or is damaged, and is not opened"):
        encoder_fetch.to_safetensors(broken)
    assert not Path("evil").exists()
    assert not (broken / "model.safetensors").exists()


def test_pickles_without_weights_are_not_converted(broken: Path):
    (broken / "model.safetensors").unlink()
    for content in (torch.zeros(1), {"epoch": 1}):
        torch.save(content, broken / "pytorch_model.bin")
        with pytest.raises(UserError, match="holds no weights by name"):
            encoder_fetch.to_safetensors(broken)


def test_an_encoder_that_cannot_be_fetched_is_told_of_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", _no_network)
    with pytest.raises(UserError, match=r"^microsoft/wavlm-base-plus \(main\) cannot be fetched: no network; with"):
        encoder_fetch.run("wavlm", None, None, convert=False)
    with pytest.raises(UserError, match=r"no encoder 'wavml' in the configuration; did you mean 'wavlm'\?"):
        encoder_fetch.run("wavml", None, None, convert=False)


class ConnectError(Exception):
    """An error of an HTTP client, which is no OSError."""


def _no_network(*_: Any, **__: Any) -> None:
    raise ConnectError("no network")


def test_weights_of_another_model_are_refused(broken: Path, models: Path, tmp_path: Path):
    shutil.copy(models / "hubert" / "model.safetensors", broken / "model.safetensors")
    assert "its weights are of another model than its config.json describes" in refused(broken, tmp_path)
    shutil.copy(models / "wavlm" / "model.safetensors", broken / "model.safetensors")
    edit(broken / "config.json", hidden_size=32)
    assert "its weights are of another model" in refused(broken, tmp_path) or "cannot open" in refused(broken, tmp_path)
    (broken / "model.safetensors").write_bytes(b"nothing")
    assert "are more than its weights of 7 bytes hold" in refused(broken, tmp_path)


def test_weights_with_another_sha256_are_refused(models: Path, tmp_path: Path):
    said = refused(models / "wavlm", tmp_path, sha256="0" * 64)
    assert f"and encoders.it.sha256 expects {'0' * 64}: name the folder of those weights" in said


def test_a_text_model_is_refused(models: Path, tmp_path: Path):
    said = refused(models / "bert", tmp_path)
    assert "a model of type 'bert' without feature extractor (preprocessor_config.json): it takes no sound" in said
    disguised = Path(shutil.copytree(models / "bert", tmp_path / "disguised"))
    shutil.copy(models / "wavlm" / "preprocessor_config.json", disguised)
    assert "takes input_ids, no sound; name a speech model" in refused(disguised, tmp_path)


def test_a_model_of_another_sampling_rate_is_refused(broken: Path, tmp_path: Path):
    edit(broken / "preprocessor_config.json", sampling_rate=8000)
    assert "a model for sound at 8000 Hz; avpretext's is at 16000 Hz" in refused(broken, tmp_path)


def test_weights_that_are_not_finite_are_refused(broken: Path, tmp_path: Path):
    model = transformers.AutoModel.from_pretrained(broken)
    with torch.no_grad():
        next(model.encoder.parameters()).fill_(float("nan"))
    model.save_pretrained(broken)
    assert "are not finite; fetch the model again" in refused(broken, tmp_path)


def test_a_model_of_the_hub_is_found_in_its_cache(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    options = EncoderOptions(hub="some/model")
    with pytest.raises(
        UserError, match=r"some/model \(main\) is not in the hub's cache, .*run `\S*avpretext models it`"
    ):
        encoder_files.find("it", options)
    place = tmp_path / "hub" / "models--some--model"
    shutil.copytree(models / "wavlm", place / "snapshots" / "abc")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("abc")
    assert encoder_files.find("it", options).folder == place / "snapshots" / "abc"
    with pytest.raises(UserError, match="neither `folder` nor `hub` says where its weights are"):
        encoder_files.find("it", EncoderOptions())


def test_a_trained_model_finds_its_revision_in_the_hubs_cache(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    place = tmp_path / "hub" / "models--some--model"
    shutil.copytree(models / "wavlm", place / "snapshots" / "old")
    digests = encoder_files.look_at("it", models / "wavlm", "here").sha256()

    def found() -> Path:
        return encoder_live.find("it", "wavlm", "some/model", tmp_path / "beside", None, digests).folder

    assert found() == place / "snapshots" / "old", "fetched by its commit, there is no main"
    random_encoder.write("wavlm", place / "snapshots" / "new", seed=1)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("new")
    assert found() == place / "snapshots" / "old"
    shutil.rmtree(place)
    with pytest.raises(UserError, match="or in the hub's cache as some/model"):
        found()


def test_the_chunks_of_a_clip_are_those_of_the_grid():
    found = encoder.chunk_edges(250, ChunkOptions())
    assert found.tolist() == [[0, 100], [38, 138], [75, 175], [113, 213], [150, 250]]


@pytest.mark.parametrize(("kind", "prefix"), [("wavlm", "wavlm."), ("wav2vec2", "wav2vec2."), ("hubert", "hubert.")])
def test_weights_as_published_load_the_same(models: Path, kind: str, prefix: str, tmp_path: Path):
    """Published ones are of models with a head, under names of earlier versions, some without what training needs."""
    folder = Path(shutil.copytree(models / kind, tmp_path / kind))
    renamed = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    state = {"lm_head.weight": torch.zeros(4, 16)}
    for name, value in load_file(folder / "model.safetensors").items():
        for new, old in renamed.items():
            name = name.replace(new, old)
        if name != "masked_spec_embed":
            state[prefix + name] = value
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    signal = noise(1.0).astype(np.float32)
    published, saved = (opened(place).rows([signal])[0].values for place in (folder, models / kind))
    assert (published == saved).all()


def test_weights_in_several_files_load_the_same(models: Path, tmp_path: Path):
    transformers.AutoModel.from_pretrained(models / "wavlm").save_pretrained(tmp_path / "parts", max_shard_size="20KB")
    shutil.copy(models / "wavlm" / "preprocessor_config.json", tmp_path / "parts")
    files = encoder_files.look_at("it", tmp_path / "parts", "here")
    assert len(files.weights) > 1
    signal = noise(1.0).astype(np.float32)
    parts, whole = (opened(place).rows([signal])[0].values for place in (tmp_path / "parts", models / "wavlm"))
    assert (parts == whole).all()
    files.weights[0].unlink()
    with pytest.raises(UserError, match=rf"no {files.weights[0].name}, which model.safetensors.index.json names"):
        opened(tmp_path / "parts")


def test_the_fingerprint_is_that_of_the_content(models: Path, tmp_path: Path):
    copy = Path(shutil.copytree(models / "wavlm", tmp_path / "copy"))
    other = random_encoder.write("wavlm", tmp_path / "other", seed=1)
    here, there, elsewhere = (encoder_files.look_at("it", folder, "x") for folder in (models / "wavlm", copy, other))
    assert here.fingerprint() == there.fingerprint() != elsewhere.fingerprint()
    large = copy / "model.safetensors"
    large.write_bytes(bytes(3_000_000))
    before = there.fingerprint()
    with large.open("r+b") as file:
        file.seek(1_200_000)
        file.write(b"x" * 30_000)  # less than a tensor of a layer
    assert there.fingerprint() != before

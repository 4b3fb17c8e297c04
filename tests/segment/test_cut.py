"""Long recordings become clips, where someone speaks and one face is seen or by windows; scored against truth."""

import math
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile

from avpretext import shards
from avpretext.config import CorpusOptions, MediaOptions, SegmentOptions
from avpretext.errors import UserError
from avpretext.flow.artefacts import schema_of
from avpretext.media import bounds, effort
from avpretext.media.split import Hearing
from avpretext.media.voice_activity import VoiceActivity
from avpretext.refusal import Refusal
from avpretext.segment import cut
from avpretext.segment.cut import Measured, find, listen

RATE_HZ = 16_000
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac")
BLANK = dict.fromkeys(schema_of("index").names) | {"size_bytes": 1}
MEDIA = MediaOptions()


class Stage:
    """Runs of the stage on files of one folder."""

    def __init__(self, folder: Path, results: Path) -> None:
        self.folder, self.results = folder, results / "it" / "segment"

    def run(
        self,
        options: SegmentOptions,
        *rows: dict,
        video: bool = False,
        model: Path | None = None,
        name: str = "0",
        sound: Hearing = "read",
    ) -> pl.DataFrame:
        """Return the clips; `refused` has the rest."""
        index = self.results.parent / "index" / f"{name}.parquet"
        shards.write_table(index, [BLANK | row for row in rows], schema_of("index"), {})
        self.output, rejects = self.results / f"{name}.parquet", self.results / "rejects" / f"{name}.parquet"
        cut.run(
            index,
            self.folder,
            options,
            MEDIA,
            CorpusOptions(path=".", use=[], video=video),
            model,
            self.output,
            rejects,
            sound,
        )
        self.refused = {row["path"]: Refusal(row["reason"], row["detail"]) for row in shards.read(rejects).to_dicts()}
        return shards.read(self.output)


@pytest.fixture
def stage(tmp_path):
    (tmp_path / "corpus").mkdir()
    return Stage(tmp_path / "corpus", tmp_path / "results")


@pytest.fixture(scope="session")
def sentences(shared_data) -> list[np.ndarray]:
    """RAVDESS's sentences, each cut to where it is louder than 26 dB below its loudest 20 ms."""
    files = sorted((shared_data / "ravdess-audio").glob("03-01-0[1-8]-0?-0?-01-0[1-4].flac"))[::3]
    if not files:
        pytest.skip("RAVDESS's clips are absent")
    cut = []
    for file in files:
        samples, _ = soundfile.read(file)
        frames = samples[: len(samples) // 320 * 320].reshape(-1, 320)
        loudness = np.sqrt((frames**2).mean(axis=1))
        loud = np.flatnonzero(loudness > 0.05 * loudness.max())
        sentence = samples[loud[0] * 320 : (loud[-1] + 1) * 320]
        cut.append(0.05 * sentence / np.sqrt((sentence**2).mean()))
    return cut


def joined(sentences: list[np.ndarray], gap_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a recording of sentences with silence around each, and (start, end) of each in seconds."""
    gap = np.zeros(round(gap_s * RATE_HZ))
    starts = np.cumsum([len(gap)] + [len(sentence) + len(gap) for sentence in sentences[:-1]])
    ends = starts + [len(sentence) for sentence in sentences]
    sound = np.concatenate([part for sentence in sentences for part in (gap, sentence)] + [gap])
    return np.clip(sound, -0.99, 0.99), np.stack([starts, ends], axis=1) / RATE_HZ


@pytest.mark.parametrize("noise", [0.0, 0.005])
def test_sentences_with_gaps_are_found_where_they_are(stage, sentences, noise):
    """Noise: white, 20 dB below the sentences, in the gaps too."""
    sound, truth = joined(sentences, gap_s=1.0)
    sound += noise * np.random.default_rng(1).normal(size=len(sound))
    soundfile.write(stage.folder / "talk.flac", np.clip(sound, -0.99, 0.99), RATE_HZ)
    options = SegmentOptions()
    clips = stage.run(options, {"clip_id": "talk", "path": "talk.flac"})
    found = clips.select("start_s", "end_s").to_numpy()
    later, earlier = np.maximum.outer(found[:, 0], truth[:, 0]), np.minimum.outer(found[:, 1], truth[:, 1])
    shared = np.maximum(0, earlier - later)
    assert shared.sum() > 0.95 * np.diff(truth).sum(), "share of speech covered"
    assert ((shared > 0.05).sum(axis=1) == 1).mean() > 0.95, "share of segments within one sentence"
    assert len(truth) <= len(found) <= 1.1 * len(truth)
    first, last = shared.argmax(axis=0), len(found) - 1 - shared[::-1].argmax(axis=0)
    assert np.median(np.abs(found[first, 0] + options.margin_s - truth[:, 0])) < 0.06
    assert np.median(np.abs(found[last, 1] - options.margin_s - truth[:, 1])) < 0.08
    assert (found[1:, 0] >= found[:-1, 1]).all()
    assert np.diff(found).max() <= options.max_s


def test_a_long_speech_without_pauses_is_cut_into_clips_that_adjoin(stage, sentences):
    sound, _ = joined(sentences, gap_s=0.02)
    soundfile.write(stage.folder / "talk.flac", sound[: 40 * RATE_HZ], RATE_HZ)
    clips = stage.run(SegmentOptions(max_s=6.0), {"clip_id": "talk", "path": "talk.flac"})
    lengths = clips["end_s"] - clips["start_s"]
    assert lengths.max() <= 6.001
    assert lengths.sum() > 36
    assert len(clips) >= 7


def test_windows_are_rows_of_the_index_with_ids_from_their_start(stage, make):
    make("anna/talk.m4a", "-f", "lavfi", "-i", "sine=d=7.3:r=16000")
    row = {"clip_id": "anna/talk", "path": "anna/talk.m4a", "speaker": "anna", "sentence": "s", "size_bytes": 77}
    clips = stage.run(SegmentOptions(by="windows", window_s=2.5), row)
    assert clips.columns == schema_of("index").names
    assert clips["clip_id"].to_list() == ["anna/talk_00000000", "anna/talk_00002500", "anna/talk_00005000"]
    assert clips["start_s"].to_list() == [0.0, 2.5, 5.0]
    assert clips["end_s"].to_list() == [2.5, 5.0, pytest.approx(7.3, abs=0.07)]
    assert clips["end_s"][2] == round(clips["end_s"][2], 3)
    for column, value in {
        "path": "anna/talk.m4a",
        "speaker": "anna",
        "recording": "anna/talk",
        "size_bytes": 77,
    }.items():
        assert clips[column].to_list() == [value] * 3
    assert clips["sentence"].to_list() == [None] * 3


@pytest.mark.parametrize("one_face", [0.0, 0.8])
def test_silent_recordings_are_cut_into_windows_of_their_pictures(stage, make, face_model, one_face):
    from PIL import Image
    from skimage import data

    Image.fromarray(data.astronaut()[0:240, 100:340]).save(stage.folder / "face.png")
    still = ("-loop", 1, "-r", 25, "-i", stage.folder / "face.png", "-t", 7, "-vf", "format=yuv420p")
    make("mute.mkv", *still, "-c:v", "libx264", "-preset", "ultrafast")
    options = SegmentOptions(by="windows", window_s=3.0, one_face=one_face)
    model = face_model if one_face else None
    clips = stage.run(options, {"clip_id": "mute", "path": "mute.mkv"}, video=True, model=model, sound="ignored")
    assert stage.refused == {}
    assert clips.select("start_s", "end_s").rows() == [(0.0, 3.0), (3.0, 6.0), (6.0, 7.0)]


def test_a_recording_that_is_itself_a_stretch_keeps_its_files_clock(stage, make):
    make("talk.wav", "-f", "lavfi", "-i", "sine=d=12:r=16000")
    rows = [
        {"clip_id": name, "path": "talk.wav", "start_s": start, "end_s": end}
        for name, start, end in (("a", 3.0, 8.0), ("b", 8.0, None), ("c", 9.0, 9.0), ("d", 10.0, 15.0))
    ]
    clips = stage.run(SegmentOptions(by="windows", window_s=3), *rows)
    assert clips.select("clip_id", "start_s", "end_s").rows() == [
        ("a_00003000", 3.0, 6.0),
        ("a_00006000", 6.0, 8.0),
        ("b_00008000", 8.0, 11.0),
        ("b_00011000", 11.0, 12.0),
    ]
    assert stage.refused["talk.wav"].reason == "bad_segment"


def test_bad_recordings_are_rows_and_the_run_goes_on(stage, make, flash_and_beep):
    good = flash_and_beep("good.mp4", *H264)
    make("mute.mp4", "-i", good, "-an", "-c", "copy")
    make("blind.mp4", "-i", good, "-vn", "-c", "copy")
    make("short.mp4", "-i", good, "-t", 0.5, *H264)
    (stage.folder / "text.mp4").write_bytes(b"this is no video" * 20)
    (stage.folder / "cut.mp4").write_bytes(good.read_bytes()[:4000])
    (stage.folder / "list.mp4").write_text(f"ffconcat version 1.0\nfile {good.name}\n")
    (stage.folder / "hls.ts").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile://{good}\n#EXT-X-ENDLIST\n"
    )
    rows = [{"clip_id": file.name, "path": file.name} for file in stage.folder.iterdir()]
    options = SegmentOptions(by="windows", window_s=2.0, one_face=0)
    clips = stage.run(options, *rows, video=True)
    assert clips["clip_id"].to_list() == ["good.mp4_00000000", "good.mp4_00002000"]
    assert {path: refusal.reason for path, refusal in stage.refused.items()} == {
        "mute.mp4": "no_audio",
        "blind.mp4": "no_video",
        "short.mp4": "no_segments",
        "text.mp4": "not_media",
        "cut.mp4": "truncated",
        "list.mp4": "not_media",
        "hls.ts": "not_media",
    }
    assert "segment.min_s = 1.0" in stage.refused["short.mp4"].detail
    heard = stage.run(options, *rows, video=False, name="1")
    assert "blind.mp4_00000000" in heard["clip_id"]


def test_a_recording_without_speech_says_so(stage, make):
    make("tone.wav", "-f", "lavfi", "-i", "sine=d=5:r=16000")
    assert stage.run(SegmentOptions(), {"clip_id": "tone", "path": "tone.wav"}).height == 0
    assert stage.refused["tone.wav"] == Refusal(
        "no_segments", "0.0 s of speech in 5.0 s, nowhere segment.min_s = 1.0 long"
    )


def test_the_time_limit_is_kept(stage, flash_and_beep, monkeypatch):
    flash_and_beep("good.mp4", *H264)
    monkeypatch.setattr(effort, "POLL_S", 1e-3)
    monkeypatch.setattr(bounds, "TIME_LIMIT_PER_SECOND", 0.0)
    monkeypatch.setattr(bounds, "TIME_LIMIT_S", -1.0)  # processor time is counted in hundredths of a second
    stage.run(SegmentOptions(by="windows"), {"clip_id": "good", "path": "good.mp4"})
    assert stage.refused["good.mp4"].reason == "timeout"


def noise(minutes: float) -> Iterator[np.ndarray]:
    """Yield so many minutes of noise, 8.192 s at a time."""
    left, random = round(60 * minutes * RATE_HZ), np.random.default_rng(1)
    for size in [1 << 17] * (left >> 17) + [left % (1 << 17)]:
        yield random.integers(-32768, 32768, size, dtype=np.int16)


def test_a_long_recording_takes_no_more_memory_than_a_short_one():
    peaks = []
    for minutes in (0.25, 0.5):
        tracemalloc.start()
        samples, heard = listen(noise(minutes), VoiceActivity())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (samples, len(heard)) == (minutes * 60 * RATE_HZ, math.ceil(minutes * 60 * RATE_HZ / 512))
    assert peaks[0] < 20e6
    assert peaks[1] - peaks[0] < 0.1e6, "15 s of sound are 480 kB"


def test_two_runs_give_the_same_bytes_and_ids_are_unique(stage, make, sentences):
    soundfile.write(stage.folder / "a.flac", joined(sentences[:4], 1.0)[0], RATE_HZ)
    soundfile.write(stage.folder / "a_00001000.flac", joined(sentences[:4], 1.0)[0], RATE_HZ)
    rows = [{"clip_id": name, "path": f"{name}.flac"} for name in ("a_00001000", "a")]
    contents = []
    for name in ("0", "1"):
        clips = stage.run(SegmentOptions(), *rows, name=name)
        contents.append(stage.output.read_bytes())
    assert contents[0] == contents[1]
    assert clips["clip_id"].n_unique() == len(clips) >= 8
    assert clips["clip_id"].is_sorted()
    made_by = shards.read_provenance(stage.output)
    assert made_by["stage"] == "segment"
    assert len(made_by["models"]["ggml-silero-v6.2.0.bin"]) == 64
    assert str(stage.folder) not in str(made_by)


def test_one_face_is_needed_for_most_of_a_clip():
    samples, speech = 8 * RATE_HZ, np.full(250, 0.9, np.float32)
    speech[[60, 61, 62, 63, 190, 191, 192, 193]] = 0  # pauses, each at 2 s and at 6 s
    options = SegmentOptions(pause_s=0.1, margin_s=0.0)
    faces = np.array([1, 1, 1, 1, 1, 2, 1, 1, 2, 1, 1, 1, 0, 0, 0, 0], dtype=np.int16)
    assert len(kept := find(Measured(samples, speech, None), options)) == 3
    assert find(Measured(samples, speech, faces), options.model_copy(update={"one_face": 0.6})) == kept[:2]
    assert find(Measured(samples, speech, faces), options.model_copy(update={"one_face": 0.9})) == kept[:1]
    assert find(Measured(samples, speech, 0 * faces), options) == Refusal(
        "no_segments",
        "no stretch with exactly one face: of 3, the best shows one in 0% of its frames; segment.one_face = 0.8",
    )


def test_stretches_with_no_face_or_two_are_left_out(stage, make, face_model, shared_data):
    """Three GRID clips one after another: as it is, blurred, and beside another speaker."""
    files = sorted((shared_data / "grid").glob("*.mpg"))
    if len(files) < 2:
        pytest.skip("GRID's clips are absent")
    one, other = files[0], files[-1]
    scaled = "scale=360:288,setsar=1,fps=25,trim=end=2.96"
    pictures = (
        f"[0:v]{scaled},split=3[v0][b][l];[b]gblur=sigma=60[v1];[1:v]{scaled}[r];"
        "[l][r]hstack,scale=360:144,pad=360:288:0:72,setsar=1[v2]"
    )
    sounds = ";".join(f"[0:a]aresample=44100,apad,atrim=end=2.96[a{k}]" for k in range(3))
    chain = f"{pictures};{sounds};[v0][a0][v1][a1][v2][a2]concat=n=3:v=1:a=1[v][a]"
    make("film.mp4", "-i", one, "-i", other, "-filter_complex", chain, "-map", "[v]", "-map", "[a]", *H264)
    row = {"clip_id": "film", "path": "film.mp4"}
    options = SegmentOptions(min_s=0.5)
    heard = stage.run(options.model_copy(update={"one_face": 0}), row, video=True)
    assert [int(middle // 2.96) for middle in (heard["start_s"] + heard["end_s"]) / 2] == [0, 1, 2]
    kept = stage.run(options, row, video=True, model=face_model, name="1")
    assert kept["clip_id"].to_list() == heard["clip_id"].to_list()[:1]
    windows = stage.run(SegmentOptions(by="windows", window_s=2.96), row, video=True, model=face_model, name="2")
    assert windows["start_s"].to_list() == [0.0]


def test_faces_without_a_model_are_one_line(stage):
    with pytest.raises(UserError, match=r"segment\.one_face > 0 needs the face model"):
        stage.run(SegmentOptions(), {"clip_id": "a", "path": "a.mp4"}, video=True)

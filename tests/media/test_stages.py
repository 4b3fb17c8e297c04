"""The stages `index`, `split` and `rejects` on whole small corpora: every bad clip is a row, and the run goes on."""

import io
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
import soundfile
from PIL import Image

from avpretext import shards
from avpretext.config import CorpusOptions, MediaOptions, RejectsOptions
from avpretext.corpora import index, rejects
from avpretext.errors import UserError
from avpretext.flow.paths import Layout
from avpretext.media import split

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac")
STRANGE_NAMES = ["anna/it's 😀.mp4", "anna/a \"b\" 'c' $(d) %03d: é\n#.mp4", "-i.mp4", "ünï/" + "x" * 251 + ".mp4"]
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


class Results:
    """Where a run of the stages on one corpus puts its shards."""

    def __init__(self, folder: Path, corpus: CorpusOptions) -> None:
        self.layout, self.corpus = Layout(folder / "results"), corpus

    def paths(self, stage: str, artefact: str | None = None) -> list[Path]:
        name = f"{stage}.{artefact}" if artefact else stage
        return [Path(path) for path in self.layout.shards(name, "it", self.corpus.shards)]

    def read(self, stage: str, artefact: str | None = None) -> pl.DataFrame:
        return shards.read(self.paths(stage, artefact))

    def run_index(self) -> None:
        for shard, (clips, refused) in enumerate(zip(self.paths("index"), self.paths("index", "rejects"), strict=True)):
            index.run(self.corpus, shard, clips, refused)

    def run_split(self, options: MediaOptions, threads: int = 1) -> None:
        for shard, clips in enumerate(self.paths("index")):
            audio, frames, refused = (self.paths("split", name)[shard] for name in ("audio", "frames", "rejects"))
            folder = Path(self.corpus.path)
            split.run(clips, folder, options, audio, frames if self.corpus.video else None, refused, threads)

    def run_rejects(self, fraction: float) -> Path:
        output = Path(self.layout.path("rejects", corpus="it"))
        lists = self.paths("index", "rejects") + self.paths("split", "rejects")
        rejects.run(self.paths("index"), lists, "it", RejectsOptions(max_reject_fraction=fraction), output)
        return output


def reasons(table: pl.DataFrame) -> dict[str, str]:
    return dict(table.select("path", "reason").iter_rows())


def test_strange_names_go_all_the_way(flash_and_beep, corpus, options, tmp_path):
    for name in STRANGE_NAMES:
        flash_and_beep(name, *H264)
    results = Results(tmp_path, corpus)
    results.run_index()
    results.run_split(options)
    assert results.read("split", "rejects").height == 0
    audio = results.read("split", "audio")
    assert audio["clip_id"].to_list() == sorted(name.removesuffix(".mp4") for name in STRANGE_NAMES)
    assert set(audio["speaker"]) == {"anna", "ünï", None}
    frames = results.read("split", "frames")
    assert frames.group_by("clip_id").len()["len"].to_list() == [75] * len(STRANGE_NAMES)


def test_the_shards_hold_what_their_schemas_say(flash_and_beep, corpus, options, tmp_path):
    for number in range(4):
        flash_and_beep(f"{number}.mp4", *H264)
    results = Results(tmp_path, corpus)
    results.run_index()
    results.run_split(options)
    clip = results.read("split", "audio").row(0, named=True)
    samples, rate = soundfile.read(io.BytesIO(clip["audio"]["bytes"]))
    assert (rate, len(samples), clip["audio"]["path"]) == (16_000, clip["samples"], "0.flac")
    assert (clip["duration_s"], clip["fps"]) == (clip["samples"] / 16_000, 25.0)
    frames = results.read("split", "frames")
    assert frames.filter(pl.col("clip_id") == "0")["frame"].to_list() == list(range(clip["video_frames"]))
    assert frames["time_s"].to_list() == pytest.approx([frame / 25 for frame in frames["frame"]])
    assert Image.open(io.BytesIO(frames["image"][0]["bytes"])).size == (160, 120)
    metadata = pq.read_metadata(results.paths("split", "frames")[0])
    assert max(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)) <= 256
    made_by = shards.read_provenance(results.paths("split", "audio")[0])
    assert (made_by["stage"], made_by["options"]["fps"]) == ("split", 25.0)


def test_the_bytes_are_the_same_over_runs_and_threads(flash_and_beep, corpus, options, tmp_path):
    for number in range(5):
        flash_and_beep(f"{number}.mp4", *H264)
    (tmp_path / "corpus" / "2.mp4").write_bytes(b"no video")
    contents = []
    for run, threads in [("a", 1), ("b", 1), ("c", 3)]:
        results = Results(tmp_path / run, corpus)
        results.run_index()
        results.run_split(options, threads)
        contents.append([results.paths("split", name)[0].read_bytes() for name in ("audio", "frames", "rejects")])
    assert contents[0] == contents[1] == contents[2]


def test_every_bad_clip_is_a_row_and_the_run_goes_on(make, flash_and_beep, corpus, options, tmp_path):
    good = flash_and_beep("good.mp4", *H264)
    folder = good.parent
    make("mute.mp4", "-i", good, "-an", "-c", "copy")
    make("good.mkv", "-i", good, "-c", "copy")
    for name, content in {
        "text.mp4": b"this is no video",
        "empty.mp4": b"",
        "pointer.mp4": POINTER,
        "cut.mp4": good.read_bytes()[:4000],
    }.items():
        (folder / name).write_bytes(content)
    (folder / "gone.mp4").symlink_to(folder / "nowhere")
    (folder / "1001_é.mp4").write_bytes(good.read_bytes())
    results = Results(tmp_path, corpus)
    results.run_index()
    results.run_split(options)
    assert reasons(results.read("index", "rejects")) == {
        "empty.mp4": "empty_file",
        "pointer.mp4": "lfs_pointer",
        "gone.mp4": "unreadable",
        "good.mp4": "duplicate_clip_id",
    }
    assert reasons(results.read("split", "rejects")) == {
        "mute.mp4": "no_audio",
        "text.mp4": "not_media",
        "cut.mp4": "truncated",
    }
    assert results.read("split", "audio")["clip_id"].to_list() == ["1001_é", "good"]


def test_too_many_refused_clips_stop_the_run_and_say_why(flash_and_beep, corpus, options, tmp_path):
    flash_and_beep("good.mp4", *H264)
    for number in range(2):
        (tmp_path / "corpus" / f"pointer {number}.mp4").write_bytes(POINTER)
    (tmp_path / "corpus" / "text.mp4").write_bytes(b"no video")
    results = Results(tmp_path, corpus.model_copy(update={"shards": 2}))
    results.run_index()
    results.run_split(options)
    table = shards.read(results.run_rejects(0.8))
    assert table["reason"].to_list() == ["lfs_pointer", "lfs_pointer", "not_media"]
    with pytest.raises(
        UserError, match=r"3 of 4 clips are refused \(75%; at most 20% may be\): 2 x lfs_pointer.*git lfs"
    ):
        results.run_rejects(0.2)


def test_a_clip_refused_by_a_later_stage_is_named_by_its_file():
    index = pl.DataFrame({"clip_id": ["a", "b"], "path": ["x/a.mp4", "x/b.mp4"]})
    refused = pl.DataFrame({"clip_id": ["b", "a"], "path": [None, "y/a.mp4"], "stage": ["landmarks", "index"]})
    assert rejects.with_paths(refused, index)["path"].to_list() == ["x/b.mp4", "y/a.mp4"]


def test_a_corpus_all_refused_stops_the_run_whatever_is_allowed(corpus, options, tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "text.mp4").write_bytes(b"no video")
    results = Results(tmp_path, corpus)
    results.run_index()
    results.run_split(options)
    with pytest.raises(UserError, match="all 1 clips are refused: 1 x not_media"):
        results.run_rejects(1.0)


def test_real_flash_video_matches_the_corpus_own_audio(shared_data, options, tmp_path):
    """The FLV files declare 0 frames; CREMA-D's WAV files were made from them."""
    if not (shared_data / "crema-d").is_dir():
        pytest.skip("CREMA-D's clips are absent")
    lengths = []
    for video in (True, False):
        corpus = CorpusOptions(path=str(shared_data / "crema-d"), reader="crema_d", use=["pretrain"], video=video)
        results = Results(tmp_path / str(video), corpus)
        results.run_index()
        results.run_split(options)
        lengths.append(dict(results.read("split", "audio").select("clip_id", "samples").iter_rows()))
        assert results.read("split", "rejects").height == 0
    assert len(lengths[0]) == 6
    # 441 samples are 160: the last may be rounded away.
    assert all(abs(lengths[1][name] - samples) <= 1 for name, samples in lengths[0].items())


def test_real_mpeg_has_75_frames_and_3_seconds(shared_data, options, tmp_path):
    if not (shared_data / "grid").is_dir():
        pytest.skip("GRID's clips are absent")
    corpus = CorpusOptions(path=str(shared_data / "grid"), reader="grid", use=["pretrain"])
    results = Results(tmp_path, corpus)
    results.run_index()
    results.run_split(options)
    audio = results.read("split", "audio")
    assert audio["video_frames"].to_list() == [75] * 6
    assert audio["duration_s"].to_list() == pytest.approx([2.98] * 6, abs=0.03)

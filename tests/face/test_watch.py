"""Frames looked at as they are decoded: the same audio, and the same faces, as by way of stored frames."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import polars as pl
import pytest
from PIL import Image

from avpretext import shards
from avpretext.action_units.expressions import strength
from avpretext.config import CorpusOptions, LandmarkOptions, MediaOptions
from avpretext.corpora import index
from avpretext.face import landmarks, watch
from avpretext.face.landmarks import Artefacts
from avpretext.media import split

NAMES = ("audio", "rejects", "landmarks", "faceless", "preview", "thumbnails")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus folder: a face that moves to and fro, no face, a film that breaks off, a film without sound."""
    from skimage import data

    folder = tmp_path_factory.mktemp("films")
    Image.fromarray(data.astronaut()[0:240, 60:380]).save(folder / "face.png")
    corpus = folder / "corpus"
    corpus.mkdir()
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-nostdin", "-v", "error", "-loop", "1", "-r", "25", "-t", "1.2"]
    ffmpeg += ["-i", str(folder / "face.png")]
    sound = ["-f", "lavfi", "-i", "sine=d=1.2"]
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "12", "-pix_fmt", "yuv420p", "-c:a", "flac"]
    swing = "crop=240:240:x='40+30*sin(2*PI*t)':y=0"
    subprocess.run([*ffmpeg, *sound, "-vf", swing, *coding, str(corpus / "face.mkv")], check=True)
    subprocess.run([*ffmpeg, *sound, "-vf", "drawbox=c=gray:t=fill", *coding, str(corpus / "none.mkv")], check=True)
    subprocess.run([*ffmpeg, "-vf", swing, *coding, str(corpus / "silent.mkv")], check=True)
    whole = (corpus / "face.mkv").read_bytes()
    (corpus / "broken.mkv").write_bytes(whole[: len(whole) // 2])
    index.run(CorpusOptions(path=str(corpus), use=["pretrain"]), 0, folder / "index.parquet", folder / "no.parquet")
    return folder


def watched(films: Path, model: Path, output: Path, threads: int = 1) -> dict[str, Path]:
    path = {name: output / f"{name}.parquet" for name in NAMES}
    artefacts = Artefacts(*(path[name] for name in NAMES[2:]), strength)
    options = MediaOptions(), path["audio"], path["rejects"], model, LandmarkOptions(), artefacts
    watch.run(films / "index.parquet", films / "corpus", *options, threads)
    return path


@pytest.fixture(scope="module")
def found(films: Path, face_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return watched(films, face_model, tmp_path_factory.mktemp("watched"))


@pytest.fixture(scope="module")
def stored(films: Path, face_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same by way of stored frames."""
    path = {name: tmp_path_factory.mktemp("stored") / f"{name}.parquet" for name in (*NAMES, "frames")}
    split.run(films / "index.parquet", films / "corpus", MediaOptions(jpeg_quality=2), *(path[name] for name in
              ("audio", "frames", "rejects")))  # fmt: skip
    artefacts = Artefacts(*(path[name] for name in NAMES[2:]), strength)
    landmarks.run(path["frames"], face_model, LandmarkOptions(), artefacts)
    return path


def test_audio_and_refusals_are_those_of_split(found: dict[str, Path], stored: dict[str, Path]) -> None:
    assert shards.read(found["audio"]).equals(shards.read(stored["audio"]))
    refused = shards.read(found["rejects"])
    assert refused.equals(shards.read(stored["rejects"]))
    assert dict(refused.select("clip_id", "reason").iter_rows()) == {"broken": "truncated", "silent": "no_audio"}


def test_faces_are_those_of_the_stored_frames_but_for_what_jpeg_changes(
    found: dict[str, Path], stored: dict[str, Path]
) -> None:
    ours, theirs = (shards.read(path["landmarks"]) for path in (found, stored))
    assert ours.select("clip_id", "frame", "time_s", "detected", "faces", "height", "width").equals(
        theirs.select("clip_id", "frame", "time_s", "detected", "faces", "height", "width")
    )
    assert ours["clip_id"].unique().to_list() == ["face"], "what is refused has no rows, however much was seen of it"
    assert len(ours) == 30
    points, expected = (np.stack(table["landmarks"].to_list()).reshape(30, 478, 3) for table in (ours, theirs))
    assert np.abs(points - expected).mean() < 0.4, "pixels"
    assert np.ptp(points[:, 4, 0]) > 40, "the nose goes to and fro"
    assert np.corrcoef(points[:, 4, 0], expected[:, 4, 0])[0, 1] > 0.999


def test_who_shows_no_face_is_refused_with_the_same_words(found: dict[str, Path], stored: dict[str, Path]) -> None:
    refused = shards.read(found["faceless"])
    assert refused.equals(shards.read(stored["faceless"]))
    assert dict(refused.select("clip_id", "reason").iter_rows()) == {"none": "no_face"}


def test_colours_are_right(films: Path, found: dict[str, Path]) -> None:
    picture = np.asarray(Image.open(films / "face.png").convert("RGB")).astype(float)
    preview = shards.read(found["preview"]).filter(pl.col("frame") == 0)
    shown = landmarks.decode(preview["image"][0]["bytes"])
    assert shown is not None
    # At time 0 the film shows columns 40 to 280.
    np.testing.assert_allclose(shown.mean(axis=(0, 1)), picture[:, 40:280].mean(axis=(0, 1)), atol=3)


def test_clips_at_a_time_and_run_again_give_the_same_bytes(
    films: Path, found: dict[str, Path], face_model: Path, tmp_path: Path
) -> None:
    again = watched(films, face_model, tmp_path, threads=2)
    assert {name: path.read_bytes() for name, path in again.items()} == {
        name: path.read_bytes() for name, path in found.items()
    }
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.parquet" for name in NAMES}

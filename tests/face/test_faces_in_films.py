"""Faces in half of the frames, two, none, or one that is frozen: from the film to its landmarks and motion."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import polars as pl
import pytest
from PIL import Image

from avpretext import shards
from avpretext.config import CorpusOptions, LandmarkOptions, MediaOptions, MotionOptions
from avpretext.corpora import index
from avpretext.face import landmarks, motion
from avpretext.media import split

FILMS = {
    "frozen": "[0]null",
    "half": "[0]drawbox=c=gray:t=fill:enable='gte(t,0.499)'",
    "none": "[0]drawbox=c=gray:t=fill",
    "short": "[0]drawbox=c=gray:t=fill:enable='gte(t,0.199)'",
    "two": "[0]split[a][b];[b]hflip[c];[a][c]hstack",
}
"""What is made of a picture with one face, in films of one second."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, face_model: Path) -> dict[str, pl.DataFrame]:
    """The shards of the films."""
    from skimage import data

    folder = tmp_path_factory.mktemp("films")
    (folder / "corpus").mkdir()
    Image.fromarray(data.astronaut()[0:240, 100:340]).save(folder / "face.png")
    for name, chain in FILMS.items():
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-loop", "1", "-r", "25", "-t", "1"]
        command += ["-i", str(folder / "face.png"), "-f", "lavfi", "-i", "sine=d=1", "-filter_complex", chain + "[v]"]
        command += ["-map", "[v]", "-map", "1:a", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
        subprocess.run([*command, "-c:a", "flac", str(folder / "corpus" / f"{name}.mkv")], check=True)
    path = {name: folder / f"{name}.parquet" for name in ("index", "audio", "frames", "landmarks", "motion")}
    no = {name: folder / f"no {name}.parquet" for name in ("index", "split", "landmarks")}
    corpus = CorpusOptions(path=str(folder / "corpus"), use=["pretrain"])
    index.run(corpus, 0, path["index"], no["index"])
    split.run(path["index"], folder / "corpus", MediaOptions(), path["audio"], path["frames"], no["split"])
    artefacts = landmarks.Artefacts(path["landmarks"], no["landmarks"], folder / "preview.parquet")
    landmarks.run(path["frames"], face_model, LandmarkOptions(), artefacts)
    motion.run(path["landmarks"], MotionOptions(), path["motion"])
    return {name: shards.read(path[name]) for name in ("landmarks", "motion")} | {
        "rejects": shards.read(list(no.values()))
    }


def test_a_face_in_too_few_frames_is_refused_and_in_half_of_them_kept(found: dict[str, pl.DataFrame]) -> None:
    assert dict(found["rejects"].select("clip_id", "reason").iter_rows()) == {"none": "no_face", "short": "no_face"}
    seen = found["landmarks"].group_by("clip_id", maintain_order=True).agg(pl.col("detected").mean())
    assert dict(seen.iter_rows()) == {"frozen": 1.0, "half": pytest.approx(0.5, abs=0.13), "two": 1.0}


def test_of_two_faces_one_is_followed_and_both_are_counted(found: dict[str, pl.DataFrame]) -> None:
    two = found["landmarks"].filter(pl.col("clip_id") == "two")
    assert (two["faces"] == 2).mean() > 0.8
    centres = two["landmarks"].to_list()
    columns = [sum(points[0::3]) / (len(points) // 3) for points in centres]
    assert max(columns) - min(columns) < 10, "it never jumps to the other face, 240 pixels away"


def test_a_frozen_face_does_not_move(found: dict[str, pl.DataFrame]) -> None:
    speed = found["motion"].filter(pl.col("clip_id") == "frozen")["speed_face"].drop_nulls()
    assert len(speed) > 20
    assert speed.mean() < 0.02, "distances between the eye corners per second"

"""A corpus whose frames say their own number, with shards in which landmarks are where they are known to be."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config import Config
from avpretext.config_file import parse
from avpretext.corpora import index, rejects
from avpretext.flow.artefacts import landmarks_schema, schema_of
from avpretext.flow.columns import ACTION_UNITS, MOTION_REGIONS
from avpretext.flow.paths import Layout
from avpretext.flow.provenance import provenance
from avpretext.media import split
from avpretext.media.encode import write_mp4
from avpretext.sound import speech

WIDTH, HEIGHT, SOURCE_FPS, FRAMES = 160, 120, 30, 90
BITS = 8


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The configuration of a run on a film of 3 s and on cuts of it; landmarks are written by hand."""
    folder = tmp_path_factory.mktemp("inspect")
    (folder / "media" / "ann").mkdir(parents=True)
    write_mp4(folder / "media/ann/film.mp4", numbered(), (WIDTH, HEIGHT), SOURCE_FPS, tone(), 16_000)
    (folder / "media/ann/empty.mp4").touch()
    (folder / "media/ann/words.mp4").write_text("no film\n" * 300)
    (folder / "cuts.csv").write_text("path,speaker,start_s,end_s\nann/film.mp4,ann,0.5,1.5\nann/film.mp4,ann,2,3\n")
    video = {"path": str(folder / "media"), "use": ["pretrain"]}
    config = parse(
        {
            "results": str(folder / "results"),
            "corpora": {
                "films": video,
                "cuts": {**video, "table": str(folder / "cuts.csv")},
                "sounds": {**video, "video": False},
            },
            "rejects": {"max_reject_fraction": 0.9},
        }
    )
    for corpus in config.corpora:
        make(config, corpus)
    return config


@pytest.fixture(scope="session")
def trimmed(run: Config, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The same film with its silence cut off."""
    split_options = run.split.model_copy(update={"trim_db": 25.0})
    results = str(tmp_path_factory.mktemp("trimmed"))
    config = run.model_copy(update={"results": results, "split": split_options})
    make(config, "films")
    return config


def numbered() -> Iterator[NDArray[np.uint8]]:
    """Yield frames with their number in black and white squares along the bottom, the least bit first."""
    for number in range(FRAMES):
        frame = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        for bit in range(BITS):
            frame[100:120, 20 * bit : 20 * bit + 20] = 255 * (number >> bit & 1)
        yield frame


def tone() -> NDArray[np.int16]:
    """Return silence with a loud second in the middle."""
    time_s = np.arange(3 * 16_000) / 16_000
    loud = (time_s >= 1) & (time_s < 2)
    return np.asarray(12_000 * np.sin(2 * np.pi * 300 * time_s) * loud, dtype=np.int16)


def centre(frame: int) -> tuple[float, float]:
    """Return where all landmarks of a frame stand close together, in pixels."""
    return 40.0 + frame, 50.0


def make(config: Config, corpus: str) -> None:
    """Run the stages up to `speech`, and write landmarks and what is made of them."""
    layout, options = Layout(config.results), config.corpora[corpus]

    def shard(artefact: str) -> Path:
        return Path(layout.path(artefact, corpus=corpus, shard=0))

    index.run(options, 0, shard("index"), shard("index.rejects"))
    frames = shard("split.frames") if options.video else None
    audio = shard("split.audio")
    sound: split.Hearing = "read" if options.audio else "ignored"
    split.run(shard("index"), Path(options.path), config.split, audio, frames, shard("split.rejects"), sound=sound)
    if options.audio:
        speech.run(audio, config.speech, shard("speech"), shard("speech.rejects"))
    lost = [shard(f"{stage}.rejects") for stage in ("index", "split", *(["speech"] if options.audio else []))]
    rejects.run([shard("index")], lost, corpus, config.rejects, Path(layout.path("rejects", corpus=corpus)))
    if frames is not None:
        frames.unlink()  # as the workflow does once there are landmarks
        write_faces(layout, corpus, shards.read(audio).to_dicts())


def write_faces(layout: Layout, corpus: str, clips: list[dict[str, Any]]) -> None:
    """Write landmarks, motion, action units and labels as if a face went one pixel to the right with each frame."""
    rows: dict[str, list[dict[str, Any]]] = {"landmarks": [], "motion": [], "action_units": []}
    chunks, emotions = [], []
    for clip in clips:
        key = {"clip_id": clip["clip_id"]}
        for frame in range(clip["video_frames"]):
            at = {**key, "frame": frame, "time_s": frame / 25}
            rows["landmarks"].append({**at, **face(frame)})
            rows["motion"].append({**at, **{f"speed_{region}": 0.2 for region in MOTION_REGIONS}})
            rows["action_units"].append({**at, **dict.fromkeys(ACTION_UNITS, 0.02 * frame / 3)})
        half = clip["duration_s"] / 2
        for chunk in range(2):
            span = {"chunk": chunk, "start_s": chunk * half, "end_s": (chunk + 1) * half}
            chunks.append({**key, **span, "value": 1.0, "label": 1 - chunk, "confidence": 1.0, "threshold": 0.5})
        emotions.append({**key, "outcome": "labelled", "label": "HAP", "value": 0.8, "confidence": 0.6,
                         "score_HAP": 0.8, "score_SAD": 0.1})  # fmt: skip
    emotion_table = {"emotions": {
        "HAP": {"name": "joy", "required": ["AU06", "AU12"]}, "SAD": {"name": "sorrow", "required": ["AU01|AU15"]},
    }}  # fmt: skip
    written = [
        (layout.path("landmarks", corpus=corpus, shard=0), rows["landmarks"], landmarks_schema(68), "landmarks"),
        (layout.path("motion", corpus=corpus, shard=0), rows["motion"], schema_of("motion"), "motion"),
        (
            layout.path("action_units", corpus=corpus, shard=0),
            rows["action_units"],
            schema_of("action_units"),
            "action_units",
        ),
        (layout.path("labels_energy", corpus=corpus), chunks, schema_of("labels_energy"), "labels_energy"),
        (layout.path("labels_activation", corpus=corpus), chunks, schema_of("labels_energy"), "labels_activation"),
        (
            layout.path("labels_emotion", corpus=corpus),
            emotions,
            schema_of("labels_emotion", {"score_*": [f"score_{name}" for name in ["HAP", "SAD"]]}),
            "labels_emotion",
        ),
    ]
    for path, content, schema, stage in written:
        shards.write_table(path, content, schema, provenance(stage, table=emotion_table))


def face(frame: int) -> dict[str, Any]:
    """Return the columns of landmarks for a frame: 68 points in a small square around `centre`."""
    spread = np.random.default_rng(frame).uniform(-5, 5, (34, 2))
    points = np.concatenate([spread, -spread]) + centre(frame)
    flat = np.c_[points, np.zeros(68)].astype(np.float32).ravel().tolist()
    return {"detected": True, "faces": 1, "landmarks": flat, "blendshapes": [0.0] * 52, "pitch_deg": 0.0,
            "yaw_deg": 0.0, "roll_deg": 0.0, "width": WIDTH, "height": HEIGHT}  # fmt: skip

"""Faces give the same labels whether their film has sound or not, and whether it is read or not."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest

from avpretext import shards
from avpretext.action_units import backends, neutral
from avpretext.action_units.expressions import strength
from avpretext.config import (
    ActionUnitOptions,
    ActivationLabelOptions,
    ChunkOptions,
    CorpusOptions,
    DemoOptions,
    EmotionLabelOptions,
    LandmarkOptions,
    LogMelOptions,
    MediaOptions,
    MotionOptions,
    SpeechOptions,
)
from avpretext.corpora import index
from avpretext.demo import corpus as demo
from avpretext.errors import UserError
from avpretext.face import motion, watch
from avpretext.face.landmarks import Artefacts
from avpretext.labels import activation, emotion
from avpretext.media.split import Hearing
from avpretext.sound import log_mel, speech

FACES = ("landmarks", "motion", "neutral", "action_units", "labels_emotion", "labels_activation")
CLIPS = 3


@pytest.fixture(scope="module")
def films(face_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of the same clips of the demo: `heard`, and `mute`, whose files have no sound."""
    folder = tmp_path_factory.mktemp("films")
    small = DemoOptions(labelled_speakers=1, clips_per_emotion=1, unlabelled_speakers=1, clips_per_speaker=1, size=160)
    demo.run(folder / "demo", small, face_model)
    for name in ("heard", "mute"):
        (folder / name).mkdir()
    for file in sorted((folder / "demo").rglob("*.mp4"))[:CLIPS]:
        file.rename(folder / "heard" / file.name)
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-i", folder / "heard" / file.name]
        subprocess.run([*command, "-an", "-c", "copy", folder / "mute" / file.name], check=True)
    return folder


def labelled(folder: Path, sound: Hearing, model: Path, output: Path) -> dict[str, Path]:
    """Make everything of a folder that its faces give."""
    names = (*FACES, "index", "lost", "audio", "rejects", "faceless", "preview", "thumbnails")
    path = {name: output / "corpus" / name / "0000.parquet" for name in names}
    index.run(CorpusOptions(path=str(folder), use=["pretrain"]), 0, path["index"], path["lost"])
    artefacts = Artefacts(*(path[name] for name in ("landmarks", "faceless", "preview", "thumbnails")), strength)
    shown = path["audio"], path["rejects"], model, LandmarkOptions(), artefacts
    watch.run(path["index"], folder, MediaOptions(), *shown, sound=sound)
    motion.run(path["landmarks"], MotionOptions(), path["motion"])
    options, index_files = ActionUnitOptions(), [path["index"]]
    neutral.run([path["landmarks"]], index_files, options, path["neutral"])
    measured = backends.Inputs(path["landmarks"], index=path["index"], neutral=path["neutral"])
    backends.run(measured, options, path["action_units"])
    emotion.run([path["action_units"]], EmotionLabelOptions(), path["labels_emotion"])
    chunks, audio = (ActivationLabelOptions(), ChunkOptions()), [path["audio"]]
    activation.run([path["motion"]], audio, *chunks, path["labels_activation"])
    return path


@pytest.fixture(scope="module")
def heard(films: Path, face_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return labelled(films / "heard", "read", face_model, tmp_path_factory.mktemp("heard"))


@pytest.fixture(scope="module", params=["mute", "heard"])
def silent(request, films: Path, face_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return labelled(films / request.param, "ignored", face_model, tmp_path_factory.mktemp("silent"))


def test_faces_and_their_labels_are_the_same_bytes_without_sound(heard, silent):
    assert shards.read(heard["labels_emotion"]).height == CLIPS
    assert shards.read(heard["labels_activation"])["value"].is_not_null().all()
    for name in FACES:
        assert silent[name].read_bytes() == heard[name].read_bytes(), name


def test_nothing_can_be_made_of_sound_that_was_not_read(silent, tmp_path):
    output = tmp_path / "x.parquet"
    with pytest.raises(UserError, match=r"0000\.parquet: the corpus has audio: false.*set audio: true"):
        speech.run(silent["audio"], SpeechOptions(), output, tmp_path / "rejects.parquet")
    with pytest.raises(UserError, match="audio: false"):
        log_mel.run(silent["audio"], LogMelOptions(), output)

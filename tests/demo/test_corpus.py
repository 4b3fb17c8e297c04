"""The demo corpus: real files that repeat byte for byte, with the truth beside them."""

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest
import soundfile

from avpretext import shards
from avpretext.config import DemoOptions, MediaOptions
from avpretext.demo import corpus
from avpretext.demo.clips import as_stored, perform
from avpretext.errors import UserError
from avpretext.flow.columns import ACTION_UNITS
from avpretext.media.decode import Decoded, decode
from avpretext.media.ffmpeg import program
from avpretext.media.filters import HighPass, to_16_bit

SMALL = DemoOptions(
    labelled_speakers=1, clips_per_emotion=1, unlabelled_speakers=1, clips_per_speaker=2, size=160, fps=25
)


@pytest.fixture(scope="module")
def made(face_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "corpus"
    corpus.run(folder, SMALL, face_model, threads=1)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_same_seed_gives_the_same_bytes_in_any_number_of_processes(
    made: Path, face_model: Path, tmp_path: Path
) -> None:
    corpus.run(tmp_path / "again", SMALL, face_model, threads=2)
    assert files(tmp_path / "again") == files(made)


def test_a_clip_does_not_depend_on_the_clips_before_it() -> None:
    plans = corpus.plan_corpus(SMALL)
    forwards = [perform(plan, SMALL) for plan in plans[:4]]
    backwards = [perform(plan, SMALL) for plan in reversed(plans[:4])][::-1]
    for one, other in zip(forwards, backwards, strict=True):
        np.testing.assert_array_equal(one.sound, other.sound)
        np.testing.assert_array_equal(one.movements, other.movements)


def test_another_seed_gives_other_clips() -> None:
    one, other = (perform(corpus.plan_corpus(SMALL.model_copy(update={"seed": seed}))[0], SMALL) for seed in (1, 2))
    assert not np.array_equal(one.sound[:10_000], other.sound[:10_000])


def test_split_stores_the_very_sound_that_was_made(made: Path, tmp_path: Path) -> None:
    """But for the high-pass, in 64 bit: no lossy decoder and no resampler stands between."""
    for plan in corpus.plan_corpus(SMALL)[:4]:
        clip = decode(made / plan.path, program("bundled"), MediaOptions(), True, tmp_path)
        assert isinstance(clip, Decoded)
        written = as_stored(perform(plan, SMALL).sound) / 32768.0
        assert len(written) * SMALL.fps == 16_000 * clip.video_frames
        expected = to_16_bit(HighPass(16_000, written)(written))
        assert np.array_equal(soundfile.read(io.BytesIO(clip.flac), dtype="int16")[0], expected)


def print_sounds() -> None:
    """Print the checksums of a few clips' sound."""
    for plan in corpus.plan_corpus(SMALL)[:3]:
        print(hashlib.sha256(as_stored(perform(plan, SMALL).sound).tobytes()).hexdigest())


def test_the_sound_is_the_same_on_a_simpler_processor(capsys: pytest.CaptureFixture[str]) -> None:
    """As far as one machine shows it: numpy without faster instructions, the oldest kernels of its linear algebra."""
    simpler = {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR", "OPENBLAS_CORETYPE": "Prescott"}
    here = "from tests.demo.test_corpus import print_sounds; print_sounds()"
    command = [sys.executable, "-W", "ignore", "-c", here]
    there = subprocess.run(command, env=os.environ | simpler, capture_output=True, check=True, text=True).stdout
    print_sounds()
    assert there == capsys.readouterr().out
    assert len(there.split()) == 3


def test_names_and_layout_are_those_of_crema_d(made: Path) -> None:
    names = sorted(path.stem for path in (made / "labelled" / "VideoFlash").iterdir())
    assert len(names) == 6
    assert {name.split("_")[2] for name in names} == {"ANG", "DIS", "FEA", "HAP", "NEU", "SAD"}
    assert {name.split("_")[3] for name in names} == {"XX"}
    actors = pl.read_csv(made / "labelled" / "VideoDemographics.csv")
    assert actors.columns == ["ActorID", "Age", "Sex", "Race", "Ethnicity"]
    assert {str(actor) for actor in actors["ActorID"]} == {name.split("_")[0] for name in names}


def test_unlabelled_names_tell_no_emotion(made: Path) -> None:
    names = [path.stem for path in (made / "unlabelled").rglob("*.mp4")]
    assert len(names) == 2
    assert all(name.startswith("speaker") and name.replace("speaker", "").replace("_", "").isdigit() for name in names)


def test_the_parts_share_no_speaker(made: Path) -> None:
    truth = shards.read(made / "truth" / "clips.parquet")
    labelled, unlabelled = (
        set(truth.filter(pl.col("corpus") == part)["speaker"]) for part in ("labelled", "unlabelled")
    )
    assert len(labelled) == len(unlabelled) == 1
    assert not labelled & unlabelled
    voices = [
        plan.speaker.delivery.voice for plan in {plan.speaker.name: plan for plan in corpus.plan_corpus(SMALL)}.values()
    ]
    assert len(set(voices)) == 2


def test_clips_are_h264_and_flac_with_the_frames_and_times_of_the_truth(made: Path) -> None:
    units = shards.read(made / "truth" / "action_units.parquet", ["clip_id"])
    counted = dict(units.group_by("clip_id").len().iter_rows())
    for path in (made / "unlabelled").rglob("*.mp4"):
        with av.open(str(path)) as file:
            video, audio = file.streams.video[0], file.streams.audio[0]
            assert (video.codec_context.name, audio.codec_context.name) == ("h264", "flac")
            assert float(video.average_rate) == SMALL.fps
            frames = sum(1 for _ in file.decode(video=0))
            duration_s = float(audio.duration * audio.time_base)
        clip_id = path.relative_to(made / "unlabelled").with_suffix("").as_posix()
        assert frames == counted[clip_id]
        assert duration_s == pytest.approx(frames / SMALL.fps, abs=0.06)


def test_truth_names_the_clips_as_the_readers_do(made: Path) -> None:
    from avpretext.config import CorpusOptions
    from avpretext.corpora import scan

    truth = shards.read(made / "truth" / "clips.parquet")
    for part, reader in (("labelled", "crema_d"), ("unlabelled", "folder")):
        found = scan(CorpusOptions(path=str(made / part), reader=reader, use=[]))
        clips = {file.clip_id: file.clip for file in found if file.clip is not None}
        rows = {row["clip_id"]: row for row in truth.filter(pl.col("corpus") == part).iter_rows(named=True)}
        assert clips.keys() == rows.keys()
        for clip_id, clip in clips.items():
            assert clip.speaker == rows[clip_id]["speaker"]


def test_truth_has_every_unit_in_its_range_and_phonemes_within_their_clips(made: Path) -> None:
    units = shards.read(made / "truth" / "action_units.parquet")
    intensities = units.select(ACTION_UNITS).to_numpy()
    assert intensities.min() >= 0
    assert intensities.max() <= 1
    lengths = dict(units.group_by("clip_id").len().iter_rows())
    for row in shards.read(made / "truth" / "phonemes.parquet").iter_rows(named=True):
        assert 0 < row["start_s"] < row["end_s"] <= lengths[row["clip_id"]] / SMALL.fps


def test_face_is_found_in_all_frames(made: Path, face_model: Path) -> None:
    import mediapipe
    from mediapipe.tasks import python
    from mediapipe.tasks.python import vision

    seen = []
    options = vision.FaceLandmarkerOptions(
        base_options=python.BaseOptions(model_asset_path=str(face_model)), running_mode=vision.RunningMode.VIDEO
    )
    for path in sorted((made / "labelled" / "VideoFlash").glob("1101_*.mp4"))[:3]:
        with vision.FaceLandmarker.create_from_options(options) as landmarker, av.open(str(path)) as file:
            for index, frame in enumerate(file.decode(video=0)):
                image = np.ascontiguousarray(frame.to_ndarray(format="rgb24"))
                picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
                seen.append(bool(landmarker.detect_for_video(picture, index * 40).face_landmarks))
    assert np.mean(seen) >= 0.99


def test_a_complete_corpus_is_left_as_it_is(made: Path, face_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    corpus.run(made, SMALL, face_model, threads=1)
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before
    assert "already" in capsys.readouterr().out


def test_other_options_or_an_unfinished_corpus_are_not_complete(made: Path) -> None:
    assert corpus.is_complete(made, SMALL)
    assert not corpus.is_complete(made, SMALL.model_copy(update={"seed": 2}))
    assert not corpus.is_complete(made / "truth", SMALL)


def test_a_folder_with_other_things_is_not_touched(tmp_path: Path, face_model: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"thesis\.tex"):
        corpus.run(tmp_path, SMALL, face_model)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_missing_model_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="avpretext models"):
        corpus.run(tmp_path / "new", SMALL, tmp_path / "absent.task")

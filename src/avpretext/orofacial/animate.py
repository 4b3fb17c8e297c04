"""A mouth from any speech: a film of it, and blendshapes for an animator's rig."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.errors import UserError, expect_file
from avpretext.evaluation import formats
from avpretext.face.blendshapes import MOUTH_BLENDSHAPES
from avpretext.media import ffmpeg
from avpretext.media.decode import Decoded, decode
from avpretext.media.encode import write_mp4
from avpretext.media.extensions import AUDIO_EXTENSIONS, VIDEO_EXTENSIONS
from avpretext.media.sound import read_plain
from avpretext.orofacial import mouth
from avpretext.orofacial.moved_clips import is_silent, on_video_grid
from avpretext.orofacial.orofacial_model import OrofacialModel, Said, read_model
from avpretext.refusal import REASONS
from avpretext.sound.live import LiveFeatures, parts

SIZE = 480
"""Width and height of the film, in pixels."""

_LONGEST_S = 6 * 3600.0

Samples = NDArray[np.int16]


def run(folder: Path, source: Path, film: Path | None, blendshapes: Path | None) -> None:
    """Animate a mouth from speech: a film, and a CSV of blendshapes, where they are named.

    The model's folder is such as `results/orofacial/joint/model`; the source is any file with sound that ffmpeg
    decodes. The CSV has `frame`, `time_s`, and a column for each of `MOUTH_BLENDSHAPES`, 0..1. It is an error if there
    is no such model or file, or if the sound is silent.
    """
    model = read_model(folder)
    sound = listen(source, model)
    said = animated(model, sound, str(source))
    if blendshapes is not None:
        formats.write_csv(blendshapes, ["frame", "time_s", *MOUTH_BLENDSHAPES], blendshape_rows(model, said))
    if film is not None:
        shapes = model.rest + said.movement.reshape(len(said.movement), -1, 2)
        pictures = (mouth.draw(shape, SIZE, "") for shape in shapes)
        write_mp4(film, pictures, (SIZE, SIZE), model.fps, sound, SAMPLE_RATE_HZ)


def listen(source: Path, model: OrofacialModel) -> Samples:
    """Return the sound of a file, 16 kHz, mono; it is an error if it has none, or cannot be decoded."""
    expect_file(source, "expected one file with speech, such as a WAV", AUDIO_EXTENSIONS | VIDEO_EXTENSIONS)
    if (plain := read_plain(source)) is not None:
        return plain
    options = model.config.split.model_copy(
        update={"trim_db": None, "min_duration_s": 0.0, "max_duration_s": _LONGEST_S}
    )
    decoded = decode(source, ffmpeg.program(options.ffmpeg), options, False)
    if not isinstance(decoded, Decoded):
        raise UserError(f"{source}: {REASONS[decoded.reason]} ({decoded.detail}); expected a file with speech")
    return decoded.sound()


def animated(model: OrofacialModel, sound: Samples, where: str) -> Said:
    """Return what a model predicts from sound, 16 kHz, mono; `where` is for messages.

    It is an error if the sound is silent, or if the model reads features of the user's own, which a file alone does not
    give.
    """
    if not sound.any():
        raise UserError(f"{where}: silent: every sample is zero, there is no speech to move a face; expected speech")
    options = model.config.orofacial
    if own := [name for name in options.features if name not in ("speech", "log_mel")]:
        raise UserError(
            f"the model hears {own[0]!r}, features of your own; animate needs one that hears speech or log_mel"
        )
    frames = features_of(model, sound)
    if is_silent(frames):
        raise UserError(f"{where}: silent: nothing in it varies; expected a file with speech")
    count = max(1, round(len(sound) / SAMPLE_RATE_HZ * model.fps))
    return model.predict(on_video_grid(frames, count, model.fps, options.context))


def features_of(model: OrofacialModel, sound: Samples) -> NDArray[np.float32]:
    """Return the features that a model reads, (T, F) every 10 ms, as the stages `speech` and `log_mel` compute them."""
    chosen = model.config.orofacial
    # Of a context the names are those of every 10 ms frame; the columns are the same for all of them.
    channels = list(dict.fromkeys(name.rpartition("@")[0] if chosen.context else name for name in model.channels))
    live = LiveFeatures(
        model.config.speech if "speech" in chosen.features else None,
        model.config.log_mel if "log_mel" in chosen.features else None,
        channels,
    )
    try:
        return np.concatenate([live.of(part) for part in parts([sound])])
    finally:
        live.close()


def blendshape_rows(model: OrofacialModel, said: Said) -> list[dict[str, float]]:
    """Return the blendshapes of a prediction, a row per video frame, under ARKit's names."""
    return [
        {"frame": frame, "time_s": frame / model.fps, **dict(zip(MOUTH_BLENDSHAPES, values, strict=True))}
        for frame, values in enumerate(model.blendshapes(said.movement).tolist())
    ]

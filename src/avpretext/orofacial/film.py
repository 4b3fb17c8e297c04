"""Test clips on film: the video, the true lower face and the one that a model predicts from the speech, with sound."""

import io
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import polars as pl
import soundfile
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config import Config
from avpretext.errors import UserError, nearest
from avpretext.flow.paths import Layout
from avpretext.flow.schemas import SAMPLE_RATE_HZ
from avpretext.media import ffmpeg
from avpretext.media.decode import Decoded, decode
from avpretext.media.encode import write_mp4
from avpretext.media.stretches import Stretch
from avpretext.orofacial import mouth
from avpretext.orofacial.lower_face import aperture
from avpretext.orofacial.movement_tables import clip_tables, points_of
from avpretext.orofacial.resting_shape import read_shapes
from avpretext.progress import progress

SIZE = 360
"""Width and height of each of the three pictures, in pixels."""

Floats = NDArray[np.float64]


class Predicted(NamedTuple):
    """A test clip: movement (T, P, 2), true and predicted, and how well the lip aperture follows, Pearson's r."""

    corpus: str
    clip_id: str
    speaker: str
    truth: Floats
    said: Floats
    aperture_r: float


def run(config: Config, output: Path, clips: Sequence[str] = ()) -> None:
    """Film test clips, one mp4 each.

    Parameters
    ----------
    config
        The whole configuration; read: results, corpora, split, orofacial.
    output
        The folder to write.
    clips
        `{corpus}/{clip_id}` of clips; none: `orofacial.films` of them, evenly spaced from badly to well predicted.

    Raises
    ------
    UserError
        A clip was not tested, or its video cannot be decoded any more.
    """
    predicted = read_predicted(
        Path(Layout(config.results).orofacial(config.orofacial.film_system, "predictions.parquet"))
    )
    chosen = named(predicted, clips) if clips else spread(predicted, config.orofacial.films)
    output.mkdir(parents=True, exist_ok=True)
    for clip in progress(chosen, total=len(chosen), unit="films", label="film"):
        name = f"{clip.corpus}-{clip.clip_id}".replace("/", "-")
        film(clip, config, output / f"{name}.mp4")


def read_predicted(predictions: Path) -> list[Predicted]:
    """Return the test clips of the first seed, by corpus and clip_id."""
    found = []
    for rows in clip_tables(predictions):
        if rows["seed"][0].as_py() == 0:
            truth, said = points_of(rows["truth"]), points_of(rows["movement"])
            corpus, clip_id, speaker = (rows[column][0].as_py() for column in ("corpus", "clip_id", "speaker"))
            found.append(Predicted(corpus, clip_id, speaker, truth, said, _follows(truth, said)))
    return sorted(found, key=lambda clip: (clip.corpus, clip.clip_id))


def _follows(truth: Floats, said: Floats) -> float:
    seen = np.isfinite(truth).all(axis=(1, 2))
    if seen.sum() < 2:
        return float("nan")
    return float(np.corrcoef(aperture(truth[seen]), aperture(said[seen]))[0, 1])


def spread(clips: Sequence[Predicted], count: int) -> list[Predicted]:
    """Return clips evenly spaced from badly to well predicted, so that none is shown for being good."""
    ranked = sorted((clip for clip in clips if np.isfinite(clip.aperture_r)), key=lambda clip: clip.aperture_r)
    if not ranked:
        return []
    places = [round((number + 1) / (count + 1) * (len(ranked) - 1)) for number in range(count)]
    return [ranked[place] for place in dict.fromkeys(places)]


def named(clips: Sequence[Predicted], wanted: Sequence[str]) -> list[Predicted]:
    """Return the clips of these names."""
    by_name = {f"{clip.corpus}/{clip.clip_id}": clip for clip in clips}
    for name in wanted:
        if name not in by_name:
            raise UserError(
                f"{name!r}: no test clip of the orofacial models{nearest(name, by_name)}; expected CORPUS/CLIP_ID, such"
                f" as {next(iter(by_name), None)}"
            )
    return [by_name[name] for name in wanted]


def film(clip: Predicted, config: Config, path: Path) -> None:
    """Write the film of a clip."""
    row, rest = _listed(clip, config)
    with tempfile.TemporaryDirectory(prefix="avpretext-") as folder:
        source = Path(config.corpora[clip.corpus].path) / row["path"]
        stretch = Stretch(row["start_s"] or 0.0, row["end_s"])
        decoded = decode(source, ffmpeg.program(config.split.ffmpeg), config.split, True, Path(folder), stretch)
        if not isinstance(decoded, Decoded):
            raise UserError(
                f"{source}: cannot be decoded any more ({decoded.reason}); it was when landmarks were found"
            )
        sound, _ = soundfile.read(io.BytesIO(decoded.flac), dtype="int16")
        title = f"{config.orofacial.film_system}, r {clip.aperture_r:.2f}"
        pictures = _pictures(decoded, clip, rest, title)
        write_mp4(path, pictures, (3 * SIZE, SIZE), config.split.fps, sound, SAMPLE_RATE_HZ)


def _listed(clip: Predicted, config: Config) -> tuple[dict[str, Any], Floats]:
    """Return the row of a clip in its corpus, and the resting shape of its speaker."""
    layout, options = Layout(config.results), config.corpora[clip.corpus]
    paths = layout.shards(clip.corpus, options.clips_stage, options.shards)
    rows = shards.read(paths, ["clip_id", "path", "start_s", "end_s"]).filter(pl.col("clip_id") == clip.clip_id)
    shapes = read_shapes(Path(layout.corpus(clip.corpus, "resting_shape")))
    speaker = clip.speaker.removeprefix(f"{clip.corpus}/")
    return rows.to_dicts()[0], shapes[speaker].points


def _pictures(decoded: Decoded, clip: Predicted, rest: Floats, title: str) -> Iterator[NDArray[np.uint8]]:
    """Yield each frame: the video, the face that was seen, the face that was predicted."""
    for image, truth, said in zip(decoded.images(), clip.truth, clip.said, strict=False):
        video = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR_RGB)
        yield np.hstack(
            [
                mouth.fitted(np.asarray(video, np.uint8), SIZE, "video"),
                mouth.draw(rest + truth, SIZE, "seen"),
                mouth.draw(rest + said, SIZE, f"heard ({title})"),
            ]
        )

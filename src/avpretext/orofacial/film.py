"""Test clips on film: the video, the true lower face and the one that a model predicts from the speech, with sound."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from avpretext import shards
from avpretext.chunks import SAMPLE_RATE_HZ
from avpretext.config import Config
from avpretext.errors import UserError, nearest
from avpretext.flow.paths import Layout
from avpretext.media import ffmpeg
from avpretext.media.decode import Decoded, decode
from avpretext.media.encode import write_mp4
from avpretext.media.stretches import Stretch
from avpretext.orofacial import mouth
from avpretext.orofacial.lower_face import aperture
from avpretext.orofacial.orofacial_tables import clip_tables, points_of
from avpretext.orofacial.resting_shape import read_shapes
from avpretext.progress import progress

SIZE = 360
"""Width and height of each of the three pictures, in pixels."""

TRACKED, PREDICTED = "tracked in the video", "predicted from speech"
"""Names of the true movement and of the model's, in films and charts."""

Floats = NDArray[np.float64]


class Predicted(NamedTuple):
    """A test clip: resting shape (P, 2), movement (T, P, 2), true and predicted, and how well the lip aperture follows.

    `aperture_r` is Pearson's r; NaN where it cannot be told.
    """

    corpus: str
    clip_id: str
    rest: Floats
    truth: Floats
    said: Floats
    aperture_r: float

    @property
    def name(self) -> str:
        """`{corpus}/{clip_id}`."""
        return f"{self.corpus}/{self.clip_id}"


def run(config: Config, output: Path, clips: Sequence[str] = ()) -> None:
    """Film test clips, one mp4 each; it is an error if one was not tested, or if its video cannot be decoded any more.

    Parameters
    ----------
    output
        The folder to write.
    clips
        `{corpus}/{clip_id}` of clips; none: `orofacial.films` of them, evenly spaced from badly to well predicted.
    """
    predicted = read_predicted(config, config.orofacial.film_system)
    chosen = named(predicted, clips) if clips else spread(predicted, config.orofacial.films)
    output.mkdir(parents=True, exist_ok=True)
    for clip in progress(chosen, total=len(chosen), unit="films", label="film"):
        film(clip, config, output / f"{clip.name.replace('/', '-')}.mp4")


def read_predicted(config: Config, system: str) -> list[Predicted]:
    """Return the test clips of the first seed of a system, by corpus and clip_id."""
    layout = Layout.of_run(config.results)
    shapes = cache(lambda corpus: read_shapes(Path(layout.path("resting_shape", corpus=corpus))))
    found = []
    for rows in clip_tables(Path(layout.path("orofacial_system.predictions", system=system))):
        corpus, clip_id, speaker, seed = (rows[key][0].as_py() for key in ("corpus", "clip_id", "speaker", "seed"))
        if seed == 0:
            truth, said = points_of(rows["truth"]), points_of(rows["movement"])
            seen = np.isfinite(truth).all(axis=(1, 2))
            r = np.corrcoef(aperture(truth[seen]), aperture(said[seen]))[0, 1] if seen.sum() > 1 else np.nan
            rest = shapes(corpus)[speaker.removeprefix(f"{corpus}/")].points
            found.append(Predicted(corpus, clip_id, rest, truth, said, float(r)))
    return sorted(found, key=lambda clip: (clip.corpus, clip.clip_id))


def spread(clips: Sequence[Predicted], count: int) -> list[Predicted]:
    """Return clips evenly spaced from badly to well predicted, so that none is shown for being good."""
    ranked = sorted((clip for clip in clips if np.isfinite(clip.aperture_r)), key=lambda clip: clip.aperture_r)
    places = [round((number + 1) / (count + 1) * (len(ranked) - 1)) for number in range(count)] if ranked else []
    return [ranked[place] for place in dict.fromkeys(places)]


def named(clips: Sequence[Predicted], wanted: Sequence[str]) -> list[Predicted]:
    """Return the clips of these names; one that was not tested is an error."""
    by_name = {clip.name: clip for clip in clips}
    for name in wanted:
        if name not in by_name:
            raise UserError(
                f"{name!r}: no test clip of the orofacial models{nearest(name, by_name)}; expected CORPUS/CLIP_ID, such"
                f" as {next(iter(by_name), None)}"
            )
    return [by_name[name] for name in wanted]


def film(clip: Predicted, config: Config, path: Path) -> None:
    """Write the film of a clip."""
    corpus, split = config.corpora[clip.corpus], config.split
    listed = Layout.of_run(config.results).shards(corpus.clips_stage, clip.corpus, corpus.shards)
    rows = shards.read(listed, ["clip_id", "path", "start_s", "end_s"]).filter(pl.col("clip_id") == clip.clip_id)
    _, file, start_s, end_s = rows.row(0)
    source, stretch = Path(corpus.path) / file, Stretch(start_s or 0.0, end_s)
    decoded = decode(source, ffmpeg.program(split.ffmpeg), split, True, stretch=stretch)
    if not isinstance(decoded, Decoded):
        raise UserError(f"{source}: cannot be decoded any more ({decoded.reason}); it was when landmarks were found")
    pictures = _pictures(decoded, clip, f"r {clip.aperture_r:.2f}")
    write_mp4(path, pictures, (3 * SIZE, SIZE), split.fps, decoded.sound(), SAMPLE_RATE_HZ)


def _pictures(decoded: Decoded, clip: Predicted, title: str) -> Iterator[NDArray[np.uint8]]:
    for image, truth, said in zip(decoded.images(), clip.truth, clip.said, strict=False):
        video = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR_RGB)
        yield np.hstack(
            [
                mouth.fitted(np.asarray(video, np.uint8), SIZE, "video"),
                mouth.draw(clip.rest + truth, SIZE, TRACKED),
                mouth.draw(clip.rest + said, SIZE, f"{PREDICTED} ({title})"),
            ]
        )

"""Draw the pictures of docs/tasks.md from a run of the demo: `python docs/site/task_pictures.py` at the top level.

They show real clips and the labels that the workflow gave them: docs/tasks-energy.png, -activation.png, -emotion.png.
"""

import io
from pathlib import Path

import av
import matplotlib as mpl
import numpy as np
import polars as pl
import soundfile
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from avpretext.config import EmotionLabelOptions, EnergyLabelOptions, MotionOptions
from avpretext.face import geometry
from avpretext.face.points import EYE_CORNERS_OUTER, REGIONS, dlib_points
from avpretext.flow.columns import ACTION_UNITS
from avpretext.labels.emotion import clip_intensities
from avpretext.labels.emotion_table import read_table
from avpretext.labels.energy import decibels
from avpretext.report.clip import MOST_SHOWN

RESULTS, VIDEOS, DOCS = Path("results/demo_unlabelled"), Path("data/demo/unlabelled"), Path("docs")
CLIP = "speaker10/speaker10_001"
"""The clip of task 1: its chunks are of both kinds."""

SHOWN = {"HAP": "speaker04", "ANG": "speaker11", "SAD": "speaker05"}
"""Emotions of task 3, each with the speaker whose surest clip is shown."""

HIGH, LOW, INK, MUTED = "#b3541e", "#2a6f97", "#1f2a30", "#7b8790"
STYLE = {
    "font.family": "DejaVu Sans", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False,
    "axes.edgecolor": "#c9d1d6", "axes.labelcolor": MUTED, "xtick.color": MUTED, "ytick.color": MUTED,
    "axes.titlelocation": "left", "axes.titlesize": 11, "axes.titlecolor": INK, "text.color": INK,
    "savefig.facecolor": "white", "figure.facecolor": "white",
}  # fmt: skip


def rows(stage: str, clip: str = CLIP) -> pl.DataFrame:
    """Return the rows of a clip, from all shards of a stage."""
    return pl.scan_parquet(RESULTS / stage / "*.parquet").filter(pl.col("clip_id") == clip).collect()


def chunks(axes: Axes, labels: pl.DataFrame, unit: str) -> None:
    """Draw the chunks of a clip as bars, each with its value and label."""
    for row in labels.iter_rows(named=True):
        colour = HIGH if row["label"] == 1 else LOW
        axes.barh(-row["chunk"], row["end_s"] - row["start_s"], left=row["start_s"], height=0.72, color=colour)
        text = f"{row['value']:.3g} {unit}: {'high' if row['label'] == 1 else 'low'}"
        axes.text((row["start_s"] + row["end_s"]) / 2, -row["chunk"], text, color="white", ha="center", va="center")
    axes.set_yticks([-k for k in labels["chunk"]], [f"chunk {k + 1}" for k in labels["chunk"]])
    axes.set_xlabel("seconds")
    axes.set_title(f"Chunks: high above {labels['threshold'][0]:.3g} {unit}, the median of the corpus")


def draw_energy() -> Figure:
    """Draw task 1: the waveform, its energy, and the chunks."""
    audio = rows("split/audio").row(0, named=True)
    signal, rate = soundfile.read(io.BytesIO(audio["audio"]["bytes"]))
    speech = rows("speech")
    energy = decibels(speech["energy"].to_numpy(), EnergyLabelOptions().floor_db)
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    wave, level, below = figure.subplots(3, 1, sharex=True, height_ratios=[1, 1.3, 1.9])
    wave.plot(np.arange(len(signal)) / rate, signal, color=MUTED, linewidth=0.4)
    wave.set_title("What is heard")
    wave.set_yticks([])
    level.plot(speech["time_s"], energy, color=INK)
    level.set_title("Energy of every 10 ms, in dB below full scale")
    chunks(below, rows("labels_energy"), "dB")
    return figure


def frames(clip: str, wanted: list[int]) -> list[np.ndarray]:
    """Return pictures of a clip, (height, width, 3), by the numbers of the frames."""
    with av.open(str(VIDEOS / f"{clip}.mp4")) as file:
        seen = {number: frame.to_ndarray(format="rgb24") for number, frame in enumerate(file.decode(video=0))}
    return [seen[number] for number in wanted]


def most_varied() -> str:
    """Return the clip whose chunks differ most in how the face moves, with labels of both kinds."""
    labels = pl.read_parquet(RESULTS / "labels_activation" / "all.parquet")
    clips = labels.group_by("clip_id").agg(
        pl.col("label").n_unique().alias("kinds"), (pl.col("value").max() - pl.col("value").min()).alias("spread")
    )
    return str(clips.filter(pl.col("kinds") == 2).sort("spread", "clip_id", descending=True)["clip_id"][0])


def extremes(speeds: np.ndarray, apart: int = 5) -> list[int]:
    """Return the frames where the face moves most, three of them, and least, two, at least so many frames apart."""
    chosen: list[int] = []
    for order, count in ((np.argsort(-speeds), 3), (np.argsort(speeds), 5)):
        for number in order[np.isfinite(speeds[order])]:
            if len(chosen) < count and all(abs(number - other) >= apart for other in chosen):
                chosen.append(int(number))
    return sorted(chosen)


def draw_activation() -> Figure:
    """Draw task 2: faces with where landmarks go, the speed, and the chunks."""
    clip = most_varied()
    found, motion, labels = rows("landmarks", clip), rows("motion", clip), rows("labels_activation", clip)
    points = dlib_points(np.stack(found["landmarks"].to_numpy()).reshape(len(found), -1, 3))
    speeds = motion["speed_face"].cast(pl.Float64).to_numpy()
    shown = extremes(speeds)
    upright = geometry.smooth(geometry.upright(points), 2 * int(MotionOptions().smooth_s * 25 / 2) + 1)
    figure = Figure(figsize=(9, 7.2), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 2])
    top.suptitle(
        "Where landmarks go in half a second at this pace, head motion removed", x=0.01, ha="left", fontsize=11
    )
    for axes, number, picture in zip(top.subplots(1, len(shown)), shown, frames(clip, shown), strict=True):
        face = points[number][REGIONS["face"]]
        # Upright faces are in distances between the eye corners; the picture is in pixels.
        corners = points[number][list(EYE_CORNERS_OUTER), :2]
        scale = np.linalg.norm(corners[1] - corners[0]) / geometry.usual_size(points) * 25 / 2
        went = (upright[number] - upright[number - 1])[REGIONS["face"], :2] * scale
        axes.imshow(picture)
        axes.quiver(face[:, 0], face[:, 1], went[:, 0], went[:, 1], color="white", angles="xy", scale_units="xy",
                    scale=1, width=0.012, headwidth=4)  # fmt: skip
        low, high = points[number].min(axis=0) - 12, points[number].max(axis=0) + 12
        axes.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]), xticks=[], yticks=[])
        axes.set_title(f"{number / 25:.2f} s: {speeds[number]:.2f}", fontsize=9)
    level, below = bottom.subplots(2, 1, sharex=True, height_ratios=[1.2, 2])
    level.plot(motion["time_s"], speeds, color=INK)
    level.scatter(np.array(shown) / 25, speeds[shown], color=HIGH, zorder=3)
    level.set_title("Mean speed of the face, in distances between the outer eye corners per second")
    chunks(below, labels, "/s")
    return figure


def surest(emotion: str, speaker: str) -> str:
    """Return the clip of a speaker that is surest of an emotion."""
    labels = pl.read_parquet(RESULTS / "labels_emotion" / "all.parquet").filter(pl.col("label") == emotion)
    of_speaker = labels.filter(pl.col("clip_id").str.starts_with(f"{speaker}/"))
    return str(of_speaker.sort("confidence", descending=True)["clip_id"][0])


def draw_emotion() -> Figure:
    """Draw task 3: for three clips the face, its action units, and what they score for each emotion."""
    table = read_table(None)
    figure = Figure(figsize=(9, 10), layout="constrained")
    for (emotion, speaker), part in zip(SHOWN.items(), figure.subfigures(len(SHOWN), 1), strict=True):
        clip = surest(emotion, speaker)
        units = rows("action_units", clip)
        values = clip_intensities(units.select(ACTION_UNITS).to_numpy(), EmotionLabelOptions())
        verdict = rows("labels_emotion", clip).row(0, named=True)
        face, intensities, scores = part.subplots(1, 3, width_ratios=[1, 1.9, 1])
        telling = set(table.shown_by(emotion)[:MOST_SHOWN])
        chosen = [ACTION_UNITS.index(unit) for unit in sorted(telling)]
        strength = units.select(ACTION_UNITS).to_numpy()[:, chosen].sum(axis=1)
        best = int(np.nanargmax(strength))
        picture = frames(clip, [int(units["frame"][best])])[0]
        face.imshow(picture)
        face.axis("off")
        face.set_title(table.emotions[emotion].name.capitalize())
        top = np.argsort(-np.nan_to_num(values))[:8][::-1]
        names = [ACTION_UNITS[k] for k in top]
        roles = ["shows the emotion" if name in telling else "other" for name in names]
        colours = {"shows the emotion": HIGH, "other": "#c9d1d6"}
        intensities.barh(names, values[top], color=[colours[role] for role in roles])
        intensities.set(xlim=(0, 1), title="Strongest action units over the clip")
        handles = [Patch(color=colour, label=role) for role, colour in colours.items()]
        intensities.legend(handles=handles, frameon=False, loc="lower right", fontsize=9)
        named = table.classes
        marks = [verdict[f"score_{name}"] or 0.0 for name in named][::-1]
        scores.barh(named[::-1], marks, color=[HIGH if name == emotion else "#c9d1d6" for name in named[::-1]])
        scores.set(xlim=(0, 1), title=f"Probability: {verdict['label']}")
    return figure


if __name__ == "__main__":
    with mpl.rc_context(STYLE):
        for task, draw in (("energy", draw_energy), ("activation", draw_activation), ("emotion", draw_emotion)):
            draw().savefig(DOCS / f"tasks-{task}.png", dpi=110, metadata={"Software": None})

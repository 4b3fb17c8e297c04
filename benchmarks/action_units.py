"""Quality of the backend `blendshapes` and of the emotion labels: on labelled clips of real faces, and on the demo.

    python benchmarks/action_units.py --model results/models/face_landmarker.task --clips clips.csv \
        --demo results/demo_unlabelled --truth data/demo/truth

`clips.csv` has the columns path, speaker, emotion: files of videos or pictures, who is seen, and what label would be
right (several joined by `|`). Pictures become clips of one second. Videos pass `watch`, `neutral`,
`action_units` and `labels_emotion` with the default options, in a temporary folder, twice:

- all: calibrated by all of the speaker's clips
- alone: each clip as if it were the speaker's only one

Of the demo, whose landmarks are taken as they are, the stages after `landmarks` are repeated with all clips, and then
with so few that a speaker is hardly known: one clip of each emotion, two clips, one clip (`DRAWS` draws each).
"""

import argparse
import csv
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from avpretext import shards
from avpretext.action_units import formulas, from_landmarks, neutral
from avpretext.action_units.measures import measure
from avpretext.config import ActionUnitOptions, EmotionLabelOptions, LandmarkOptions, MediaOptions
from avpretext.corpora.who import named_speakers
from avpretext.evaluation.truth import emotion_scores, pearson
from avpretext.face import watch
from avpretext.face.landmark_shards import read_clips
from avpretext.face.landmarks import Artefacts
from avpretext.flow.artefacts import schema_of
from avpretext.flow.columns import ACTION_UNITS
from avpretext.labels import emotion
from avpretext.labels.emotion_table import read_table

Floats = NDArray[np.float64]
PICTURES = (".jpg", ".jpeg", ".png")
SHOWN = 0.1
DRAWS = 4


def main() -> None:
    """Measure, and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="the file face_landmarker.task")
    parser.add_argument("--clips", type=Path, help="table of labelled clips")
    parser.add_argument("--demo", type=Path, help="results of a demo corpus: landmarks and index")
    parser.add_argument("--truth", type=Path, help="truth of the demo")
    arguments = parser.parse_args()
    if arguments.clips:
        with tempfile.TemporaryDirectory() as folder, arguments.clips.open(encoding="utf-8") as table:
            real_faces(list(csv.DictReader(table)), arguments.model, Path(folder))
    if arguments.demo:
        demo(arguments.demo, arguments.truth)


def real_faces(listed: list[dict[str, str]], model: Path, folder: Path) -> None:
    """Print a row per clip and calibration, and how many labels are right."""
    clips = [{**row, "clip_id": f"{k:03d}_{Path(row['path']).stem}"} for k, row in enumerate(listed)]
    rows = [index_row(clip, folder) for clip in clips]
    index, faces = (folder / f"{name}.parquet" for name in ("index", "landmarks"))
    shards.write_table(index, rows, schema_of("index"), {})
    spare = [folder / f"spare{k}.parquet" for k in range(4)]
    seen = Artefacts(faces, spare[2], spare[3])
    watch.run(index, Path("/"), MediaOptions(), spare[0], spare[1], model, LandmarkOptions(), seen)
    print("| clip | posed | calibrated by | label | scores | action units |\n|---|---|---|---|---|---|")
    right: dict[str, list[bool]] = defaultdict(list)
    for calibrated in ("all", "alone"):
        options = ActionUnitOptions(calibration="speaker" if calibrated == "all" else "clip")
        for clip, verdict in zip(clips, labels(faces, index, options, clips, folder), strict=True):
            print(f"| {Path(clip['path']).name} | {clip['emotion']} | {calibrated} | {verdict} |")
            right[calibrated].append(verdict.split(" |")[0] in clip["emotion"].split("|"))
    print("\n" + "; ".join(f"{name}: {sum(found)} of {len(found)} right" for name, found in right.items()) + "\n")


def index_row(clip: dict[str, str], folder: Path) -> dict[str, Any]:
    """Return the row of `index` of a clip, whose picture or silent video is made into a clip with sound before."""
    source, target = Path(clip["path"]).resolve(), folder / f"{clip['clip_id']}.mp4"
    still = source.suffix.lower() in PICTURES
    picture = ["-loop", "1", "-t", "1"] if still else []
    even = "scale=trunc(iw*min(1\\,480/ih)/2)*2:trunc(min(480\\,ih)/2)*2"
    silence = ["-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono", "-shortest", "-map", "0:v:0", "-map", "1:a:0"]
    coding = ["-vf", even, "-pix_fmt", "yuv420p", "-crf", "12", str(target)]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *picture, "-i", str(source), *silence, *coding]
    subprocess.run(command, check=True)
    known = {"clip_id": clip["clip_id"], "path": str(target).lstrip("/"), "speaker": clip["speaker"]}
    return dict.fromkeys(schema_of("index").names) | known | {"size_bytes": target.stat().st_size}


def labels(
    faces: Path, index: Path, options: ActionUnitOptions, clips: Sequence[dict[str, str]], folder: Path
) -> list[str]:
    """Label the clips; return label or outcome, scores and action units of each, as cells of a table."""
    rest, units, labelled = (folder / f"{options.calibration}_{name}.parquet" for name in ("rest", "units", "labels"))
    neutral.run([faces], [index], options, rest)
    from_landmarks.run(faces, index, rest, options, units)
    emotion.run([units], EmotionLabelOptions(), labelled, [index], rest)
    verdicts = {row["clip_id"]: row for row in shards.read(labelled).to_dicts()}
    intensities = {
        name: emotion.clip_intensities(emotion.intensities(rows), EmotionLabelOptions())
        for name, rows in by_clip(units)
    }
    return [cells(verdicts.get(clip["clip_id"]), intensities.get(clip["clip_id"])) for clip in clips]


def by_clip(units: Path) -> list[tuple[str, Any]]:
    """Return the rows of each clip of a shard."""
    return list(shards.iterate_clips(units, ACTION_UNITS))


def cells(verdict: dict[str, Any] | None, units: Floats | None) -> str:
    """Put the verdict on a clip into cells of a table."""
    if verdict is None or units is None:
        return "no face | |"
    scores = {name[6:]: score for name, score in verdict.items() if name.startswith("score_") and score is not None}
    shown = " ".join(f"{name} {score:.2f}" for name, score in scores.items())
    strong = " ".join(f"{unit[2:]}:{x:.2f}" for unit, x in zip(ACTION_UNITS, units, strict=True) if x >= SHOWN)
    return f"{verdict['label'] or verdict['outcome']} | {shown} | {strong}"


def demo(results: Path, truth: Path) -> None:
    """Print how well the demo's action units and emotions are found, by how many clips a speaker is calibrated."""
    speakers = named_speakers(sorted((results / "index").glob("0*.parquet")))
    files = sorted((results / "landmarks").glob("0*.parquet"))
    clips = {clip.clip_id: measure(clip.points, clip.blendshapes) for file in files for clip in read_clips(file)}
    posed = {row["clip_id"]: row["emotion"] for row in shards.read(truth / "clips.parquet").to_dicts()}
    by_speaker: dict[str, list[str]] = defaultdict(list)
    for name in clips:
        by_speaker[str(speakers[name])].append(name)
    true = {name: rows for name, rows in by_clip(truth / "action_units.parquet") if name in clips}
    print("| clips of a speaker | mean r of action units | labelled | agreeing of those | agreeing of all |")
    print("|---|---|---|---|---|")
    for title, drawn in draws(by_speaker, posed).items():
        found = [(name, intensities) for group in drawn for name, intensities in calibrated(group, clips)]
        verdicts = emotion.judge(read_table(None), [summed(units) for _, units in found], EmotionLabelOptions())
        scores = emotion_scores([verdict.label for verdict in verdicts], [posed[name] for name, _ in found])
        share = scores["labelled_share"]
        r = np.nanmean([pearson(*column) for column in columns(found, true)])
        print(f"| {title} | {r:.3f} | {share:.3f} | {scores['agreement']:.3f} | {scores['agreement'] * share:.3f} |")


def draws(by_speaker: dict[str, list[str]], posed: dict[str, str]) -> dict[str, list[list[str]]]:
    """Draw clips of each speaker, in groups that are calibrated together."""
    rng = np.random.default_rng(0)
    groups: dict[str, list[list[str]]] = {"all": list(by_speaker.values())}
    groups |= {name: [] for name in ("one of each emotion", "2", "1")}
    for names in by_speaker.values():
        for _ in range(DRAWS):
            of = {label: [name for name in names if posed[name] == label] for label in sorted(set(posed.values()))}
            groups["one of each emotion"].append([str(rng.choice(some)) for some in of.values() if some])
            for count in (2, 1):
                groups[str(count)].append([str(name) for name in rng.choice(names, count, replace=False)])
    return groups


def calibrated(names: Sequence[str], clips: dict[str, Floats]) -> list[tuple[str, Floats]]:
    """Return the action units of some clips of one speaker, calibrated by these alone."""
    faces = [face for name in names if (face := neutral.clip_face(clips[name])) is not None]
    rest = neutral.resting_face(neutral.Person(faces, []))
    return [(name, formulas.intensities(clips[name], rest)) for name in names]


def summed(units: Floats) -> Floats:
    """Sum up a clip as `labels_emotion` does."""
    return emotion.clip_intensities(units, EmotionLabelOptions())


def columns(found: Sequence[tuple[str, Floats]], true: dict[str, Any]) -> list[tuple[Floats, Floats]]:
    """Return measured and true intensity over all frames, for each action unit that the truth shows."""
    pairs = [(units[: true[name].num_rows], emotion.intensities(true[name])[: len(units)]) for name, units in found]
    measured, known = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    return [(measured[:, k], known[:, k]) for k in range(len(ACTION_UNITS)) if np.ptp(known[:, k]) > 0]


if __name__ == "__main__":
    main()

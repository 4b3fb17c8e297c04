"""Measure on faces what action units and emotions are read off: `people.csv` and the shipped tables of emotions.

    python benchmarks/fit_faces.py people --model results/models/face_landmarker.task --clips talking.csv
    python benchmarks/fit_faces.py emotions --model results/models/face_landmarker.task --clips posed.csv

`talking.csv` has the columns path, person: videos of people who talk. `posed.csv` has path, source, person, emotion:
pictures and videos of posed emotions; all clips of a source are calibrated together. Both tables name files that are
not part of the project; benchmarks/action-units.md says which ones were used.

- people: the face that people have while they talk, how far they stray from it, and what turning a face does to each
  measure: one frame of each person is turned as a textured mesh, and measured again.
- choices: how labelled clips of `--judged` come out by other quantiles, and when these are chosen without each person.
- emotions: the action units of each emotion, `avpretext fit-emotions` on several sources; prints figures on people that
  were left out.
"""

import argparse
import csv
import itertools
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.vision import FaceLandmarker, FaceLandmarkerOptions, RunningMode
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from avpretext.action_units import formulas, measures, neutral
from avpretext.config import EmotionLabelOptions
from avpretext.face import geometry
from avpretext.face.landmarker import few_processors, quiet_stderr
from avpretext.face.points import dlib_points
from avpretext.face.tracker import FaceTracker
from avpretext.labels import emotion, emotion_fit
from avpretext.labels.emotion_table import EmotionTable

Floats = NDArray[np.float64]
PICTURES = (".jpg", ".jpeg", ".png", ".tiff")
TURNS = [(-20, 0), (-10, 0), (10, 0), (20, 0), (0, -20), (0, -10), (0, 10), (0, 20)]
OVAL = [
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150,
    136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
]  # fmt: skip
"""Outline of the face among MediaPipe's points."""
FRONTAL = 12.0
"""Frames are turned that look at the camera to so many degrees."""
DISTANCES = len(measures.GEOMETRY)


def main() -> None:
    """Measure, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["people", "emotions", "choices"])
    parser.add_argument("--model", type=Path, required=True, help="the file face_landmarker.task")
    parser.add_argument("--clips", type=Path, required=True, help="table of the clips")
    parser.add_argument("--output", type=Path, help="people.csv, or the table of emotions")
    parser.add_argument("--judged", type=Path, help="choices: table of the clips to judge by")
    parser.add_argument("--leave-out", nargs="*", default=[], help="emotions that are left out")
    arguments = parser.parse_args()
    with arguments.clips.open(encoding="utf-8") as table:
        clips = list(csv.DictReader(table))
    if arguments.what == "people":
        people(clips, arguments.model, arguments.output)
        return
    kept = [clip for clip in clips if clip["emotion"] not in arguments.leave_out]
    if arguments.what == "emotions":
        emotions(kept, arguments.model, arguments.output)
        return
    with arguments.judged.open(encoding="utf-8") as table:
        judged = [clip for clip in csv.DictReader(table) if clip["emotion"] not in arguments.leave_out]
    choices(kept, judged, arguments.model)


# ---------------------------------------------------------------------------------------------------------- people
def people(clips: list[dict[str, str]], model: Path, output: Path) -> None:
    """Write `people.csv`."""
    of_person: dict[str, list[Path]] = defaultdict(list)
    for clip in clips:
        of_person[clip["person"]].append(Path(clip["path"]))
    slopes, turned = pose_slopes([files[0] for files in of_person.values()], model)
    measures.TURNED[:] = slopes
    clips_of = [[neutral.clip_face(measured(file, model)) for file in files] for files in of_person.values()]
    faces = [[face for face in clips if face is not None] for clips in clips_of]
    known = np.stack([neutral.usual_face(clips) for clips in faces if clips])
    typical = np.median(known, axis=0)
    between = 1.4826 * np.median(np.abs(known - typical), axis=0)
    with output.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["measure", "typical", "between", "pitch", "pitch_squared", "yaw_squared"])
        for name, *values in zip(measures.MEASURES, typical, between, *slopes, strict=True):
            writer.writerow([name, *(f"{value:.4f}" for value in values)])
    print(f"{len(known)} people, {turned} of them turned")


def measured(file: Path, model: Path) -> Floats:
    """Return the measures of each frame of a clip, or of one picture."""
    points, shapes = look_at_picture(file, model) if file.suffix.lower() in PICTURES else look_at_video(file, model)
    return measures.measure(points, shapes)


def look_at_video(file: Path, model: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return dlib's points and the blendshapes of each frame, as the workflow finds them."""
    video = cv2.VideoCapture(str(file))
    rate, found = video.get(cv2.CAP_PROP_FPS) or 25, []
    with FaceTracker(model, 2, 0.5) as tracker:
        while (frame := read_frame(video)) is not None:
            found.append(tracker.track(frame, len(found) / rate))
    points = [np.full((478, 3), np.nan) if face is None else face.landmarks for face in found]
    shapes = [np.full(52, np.nan) if face is None else face.blendshapes for face in found]
    return dlib_points(np.array(points, np.float32)), np.array(shapes, np.float32)


def read_frame(video: cv2.VideoCapture) -> NDArray[np.uint8] | None:
    """Return the next frame, at most 480 pixels high, RGB."""
    there, frame = video.read()
    if not there:
        return None
    height, width = frame.shape[:2]
    if height > 480:
        frame = cv2.resize(frame, (round(width * 240 / height) * 2, 480), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))


def look_at_picture(file: Path, model: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return dlib's points and the blendshapes of a picture, (1, 68, 3) and (1, 52); NaN without a face.

    Small pictures are enlarged, and all get a margin, since MediaPipe does not find a face that fills the picture.
    """
    picture = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    if picture.shape[0] < 100:
        picture = cv2.resize(picture, None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC)
    margin = picture.shape[0] // 4
    wide = cv2.copyMakeBorder(picture, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    face = detect(detector(model), cv2.cvtColor(wide, cv2.COLOR_GRAY2RGB))
    points, shapes = face or (np.full((478, 3), np.nan), np.full(52, np.nan))
    return dlib_points(points[None].astype(np.float32)), shapes[None].astype(np.float32)


_DETECTORS: dict[Path, FaceLandmarker] = {}


def detector(model: Path) -> FaceLandmarker:
    """Return MediaPipe's detector for pictures; the same one each time."""
    if model not in _DETECTORS:
        options = FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(model)),
            running_mode=RunningMode.IMAGE, num_faces=1, output_face_blendshapes=True,
        )  # fmt: skip
        with quiet_stderr(), few_processors(1):
            _DETECTORS[model] = FaceLandmarker.create_from_options(options)
    return _DETECTORS[model]


def close_detectors() -> None:
    """Close them: one that is open when the interpreter ends keeps it waiting for ever."""
    while _DETECTORS:
        _DETECTORS.popitem()[1].close()


def detect(landmarker: FaceLandmarker, picture: NDArray[np.uint8]) -> tuple[Floats, Floats] | None:
    """Return landmarks in pixels, (478, 3), and blendshapes, (52,)."""
    found = landmarker.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture))
    if not found.face_landmarks:
        return None
    height, width = picture.shape[:2]
    points = np.array([[point.x * width, point.y * height, point.z * width] for point in found.face_landmarks[0]])
    return points, np.array([shape.score for shape in found.face_blendshapes[0]])


# ------------------------------------------------------------------------------------------------------------ pose
def pose_slopes(files: list[Path], model: Path) -> tuple[Floats, int]:
    """Return what turning does to each measure, shape (3, M), and on how many people it was measured.

    The pose is that which MediaPipe sees before and after. Printed: the change of each action unit at 20 degrees, the
    worst of four directions, before and after the correction by the other people.
    """
    landmarker, rows = detector(model), []
    for who, file in enumerate(files):
        start = frontal(landmarker, file)
        at_rest = None if start is None else seen(landmarker, start[0])
        for turn in TURNS if start is not None and at_rest is not None else []:
            after = seen(landmarker, turned(*start, *turn))
            if after is not None:
                rows.append((who, turn, *at_rest, *after))
    who = np.array([row[0] for row in rows])
    before, change = np.array([row[2] for row in rows]), np.array([row[4] - row[2] for row in rows])
    basis = np.array([row[5] - row[3] for row in rows])
    slopes = np.linalg.lstsq(basis, change, rcond=None)[0]
    rest = np.zeros_like(change)
    for person in np.unique(who):
        others = who != person
        fitted = np.linalg.lstsq(basis[others], change[others], rcond=None)[0]
        rest[~others] = change[~others] - basis[~others] @ fitted
    report_turns(before, change, rest, [row[1] for row in rows])
    return slopes, len(set(who.tolist()))


def report_turns(before: Floats, change: Floats, rest: Floats, turns: list[tuple[int, int]]) -> None:
    """Print how far each action unit moves when a face is turned by 20 degrees."""
    typical = neutral.RestingFace(np.median(before, axis=0), 0)
    print("| AU | turned by 20 degrees | after correction, by other people |\n|---|---|---|")
    at_rest = formulas.signed(before, typical)
    for unit, name in enumerate(formulas.FORMULAS):
        worst = []
        for moved in (change, rest):
            away = formulas.signed(before + moved, typical)[:, unit] - at_rest[:, unit]
            sides = [[k for k, turn in enumerate(turns) if turn == side] for side in TURNS if max(map(abs, side)) == 20]
            worst.append(max(abs(np.median(away[side])) for side in sides))
        print(f"| {name} | {worst[0]:.2f} | {worst[1]:.2f} |")


def frontal(landmarker: FaceLandmarker, file: Path) -> tuple[NDArray[np.uint8], Floats] | None:
    """Return the eighth frame of a video, cut to the head, 448 by 448, and its landmarks; None if it looks aside."""
    video, frame = cv2.VideoCapture(str(file)), None
    for _ in range(8):
        following = read_frame(video)
        frame = frame if following is None else following
    found = None if frame is None else detect(landmarker, frame)
    if frame is None or found is None:
        return None
    low, high = found[0][:, :2].min(axis=0), found[0][:, :2].max(axis=0)
    reach = 0.95 * (high - low).max()
    wide = cv2.copyMakeBorder(frame, 300, 300, 300, 300, cv2.BORDER_REPLICATE)
    left, top = ((low + high) / 2 - reach + 300).astype(int)
    head = wide[top : top + int(2 * reach), left : left + int(2 * reach)]
    picture = np.ascontiguousarray(cv2.resize(head, (448, 448), interpolation=cv2.INTER_CUBIC))
    face = detect(landmarker, picture)
    if face is None or np.abs(geometry.head_pose(dlib_points(face[0][None]))[0, :2]).max() > FRONTAL:
        return None
    return picture, face[0]


def seen(landmarker: FaceLandmarker, picture: NDArray[np.uint8]) -> tuple[Floats, Floats] | None:
    """Return the measures of a picture whatever its pose, (M,), and the pose as pitch, its square, yaw squared."""
    face = detect(landmarker, picture)
    if face is None:
        return None
    points = dlib_points(face[0][None].astype(np.float32))
    upright, pose = geometry.upright_and_pose(points)
    pitch, yaw = pose[0, :2] / 10
    return measures.as_seen(upright / geometry.usual_size(points), face[1][None])[0], np.array(
        [pitch, pitch**2, yaw**2]
    )


def turned(picture: NDArray[np.uint8], points: Floats, pitch: float, yaw: float) -> NDArray[np.uint8]:
    """Turn the head in a picture: its mesh with the picture as texture, drawn from far to near.

    Parameters
    ----------
    points
        Shape (478, 3): MediaPipe's landmarks, in pixels.
    """
    face = points[:468]
    width = np.ptp(face[:, 0])
    centre = face.mean(axis=0) + np.array([0, 0, 0.6 * width])
    outline = face[OVAL]
    hair = face.mean(axis=0) + (outline - face.mean(axis=0)) * [1.35, 1.35, 1]
    hair[:, 2] = np.maximum(hair[:, 2] + 0.15 * width, centre[2] - 0.2 * width)
    head = np.concatenate([face, hair])
    moved = (head - centre) @ rotation(pitch, yaw).T + centre
    size = picture.shape[0] - 1
    corners = np.array([[x, y] for x in (0, size / 2, size) for y in (0, size / 2, size) if (x, y) != (size / 2,) * 2])
    source, target = np.concatenate([head[:, :2], corners]), np.concatenate([moved[:, :2], corners])
    depth = np.concatenate([moved[:, 2], np.full(len(corners), 1e6)])
    drawn = picture.copy()
    triangles = Delaunay(source).simplices
    for triangle in triangles[np.argsort(-depth[triangles].mean(axis=1))]:
        draw(picture, drawn, source[triangle].astype(np.float32), target[triangle].astype(np.float32))
    return drawn


def rotation(pitch: float, yaw: float) -> Floats:
    """Return the matrix that turns a head, in degrees."""
    x, y = np.radians([pitch, yaw])
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    return about_y @ about_x


def draw(
    picture: NDArray[np.uint8], drawn: NDArray[np.uint8], source: NDArray[np.float32], target: NDArray[np.float32]
) -> None:
    """Draw one triangle of a picture where it has moved to."""
    low = np.maximum(np.floor(target.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(target.max(axis=0)).astype(int) + 1, picture.shape[1::-1])
    if (high <= low).any():
        return
    width, height = (high - low).tolist()
    place = cv2.getAffineTransform(source, target - low.astype(np.float32))
    patch = cv2.warpAffine(picture, place, (width, height), borderMode=cv2.BORDER_REPLICATE)
    inside = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(inside, np.round((target - low) * 16).astype(np.int32), 1, shift=4)
    place_there = drawn[low[1] : high[1], low[0] : high[0]]
    place_there[inside > 0] = patch[inside > 0]


# -------------------------------------------------------------------------------------------------------- emotions
def emotions(clips: list[dict[str, str]], model: Path, output: Path) -> None:
    """Write a table of emotions, and print how it does on people that were left out."""
    faces = faces_of(by_source(clips, model), EmotionLabelOptions())
    table = emotion_fit.fit(faces, neutral="NEU")
    output.write_text(emotion_fit.text(table), "utf-8")
    print(emotion_fit.page(emotion_fit.validate(faces, neutral="NEU")))


Measured = list[tuple[dict[str, str], Floats]]
"""Clips of one source in which a face was found, with their measures."""


def by_source(clips: list[dict[str, str]], model: Path) -> dict[str, Measured]:
    """Measure the clips of each source."""
    found: dict[str, Measured] = defaultdict(list)
    for clip in clips:
        values = measured(Path(clip["path"]), model)
        if np.isfinite(values).all(axis=1).any():
            found[clip["source"]].append((clip, values))
    for name, files in found.items():
        of = [clip for clip in clips if clip["source"] == name]
        print(f"{name}: {len(files)} of {len(of)} clips, {len({clip['person'] for clip, _ in files})} people")
    return found


def faces_of(sources: dict[str, Measured], options: EmotionLabelOptions) -> emotion_fit.Faces:
    """Return what `emotion_fit` fits to."""
    found = [of_source(name, files, options) for name, files in sources.items()]
    return emotion_fit.whole(emotion_fit.Faces(*(np.concatenate(parts) for parts in zip(*found, strict=True))))


def of_source(name: str, files: Measured, options: EmotionLabelOptions) -> tuple[NDArray[Any], ...]:
    """Return action units, emotions, people and source of clips that are calibrated together."""
    rest = rest_of_pictures(files) if all(len(values) == 1 for _, values in files) else None
    by_person: dict[str, list[Floats]] = defaultdict(list)
    for clip, values in files:
        by_person[clip["person"]].append(values)
    if rest is None:
        people = {
            name: neutral.Person([face for clip in seen if (face := neutral.clip_face(clip)) is not None], [])
            for name, seen in by_person.items()
        }
        prior = neutral.face_of_corpus(people.values(), [])
        faces = {name: neutral.resting_face(person, prior) for name, person in people.items()}
        frames = [formulas.intensities(values, faces[clip["person"]]) for clip, values in files]
    else:
        frames = [formulas.intensities(values, rest) for _, values in files]
    units = np.stack([emotion.clip_intensities(each, options) for each in frames])
    labels = np.array([clip["emotion"] for clip, _ in files])
    people = np.array([f"{name} {clip['person']}" for clip, _ in files])
    return units, labels, people, np.array([name] * len(files))


# --------------------------------------------------------------------------------------------------------- choices
def choices(clips: list[dict[str, str]], judged: list[dict[str, str]], model: Path) -> None:
    """Print how clips come out by each of 18 choices, and by the choice that is best on all other people.

    Chosen are the quantiles over a clip and how far expressions move a face from clip to clip. `judged` has the columns
    of `clips`; without an emotion the share of the most frequent one is told, which may be a quarter at most.
    """
    sources, others = by_source(clips, model), by_source(judged, model)
    found: dict[tuple[float, ...], dict[str, list[tuple[str, str, str]]]] = {}
    for chosen in itertools.product((0.5, 0.6, 0.75), (0.5, 0.6, 0.7), (0.25, 0.5)):
        options = EmotionLabelOptions(upper_quantile=chosen[0], mouth_quantile=chosen[1])
        neutral.EXPRESSION = chosen[2]
        table = emotion_fit.fit(faces_of(sources, options), neutral="NEU", temperature=2.0)
        found[chosen] = {name: labelled(table, name, files, options) for name, files in others.items()}
        print(f"| {' | '.join(map(str, chosen))} | {' | '.join(map(told, found[chosen].values()))} |")
    right = [
        one
        for person in sorted({who for rows in found[chosen].values() for who, true, _ in rows if true})
        for one in of_person(found[max(found, key=lambda each: fitness(found[each], person))], person)
    ]
    print(
        "chosen without the person:",
        {name: told([row for row in right if row[0].startswith(f"{name} ")]) for name in others},
    )


def labelled(
    table: EmotionTable, name: str, files: Measured, options: EmotionLabelOptions
) -> list[tuple[str, str, str]]:
    """Return person, true emotion and label, or outcome, of each clip of a source."""
    units, true, people, _ = of_source(name, files, options)
    verdicts = emotion.judge(table, units, options)
    given = [verdict.label or verdict.outcome for verdict in verdicts]
    return list(zip(people.tolist(), true.tolist(), given, strict=True))


def told(rows: list[tuple[str, str, str]]) -> str:
    """Return how many labels are right, or how often the most frequent emotion is given."""
    known = [true == given for _, true, given in rows if true]
    return f"{sum(known)} of {len(known)}" if known else f"{most_frequent(rows):.0%}"


def most_frequent(rows: list[tuple[str, str, str]]) -> float:
    """Return the share of the most frequent emotion, neutral left out, of the labels."""
    given = [label for _, _, label in rows if label.isupper()]
    return max((given.count(label) for label in set(given) - {"NEU"}), default=0) / max(len(given), 1)


def of_person(found: dict[str, list[tuple[str, str, str]]], person: str) -> list[tuple[str, str, str]]:
    """Return the clips of a person."""
    return [row for rows in found.values() for row in rows if row[0] == person]


def fitness(found: dict[str, list[tuple[str, str, str]]], person: str) -> tuple[bool, float]:
    """Return how good a choice is on all but one person."""
    shares = [most_frequent(rows) for rows in found.values() if not any(true for _, true, _ in rows)]
    right = [true == given for rows in found.values() for who, true, given in rows if true and who != person]
    return max(shares, default=0) <= 0.25, float(np.mean(right))


def rest_of_pictures(files: list[tuple[dict[str, str], Floats]]) -> neutral.RestingFace:
    """Return the face at rest of a set of pictures: the median neutral one, else over all emotions."""
    of_emotion: dict[str, list[Floats]] = defaultdict(list)
    for clip, values in files:
        of_emotion[clip["emotion"]].append(values[0])
    usual = {label: np.median(values, axis=0) for label, values in of_emotion.items()}
    rest = usual["NEU"] if "NEU" in usual else np.median(list(usual.values()), axis=0)
    if "NEU" not in usual:
        rest[neutral.OPENINGS] = measures.TYPICAL_REST[neutral.OPENINGS]
    return neutral.RestingFace(rest, 0)


if __name__ == "__main__":
    try:
        main()
    finally:
        close_detectors()

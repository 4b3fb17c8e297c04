"""Action units by py-feat's detectors, from the stored frames; runs in py-feat's own environment.

Of avpretext it may import only what that environment has packages for: no OpenCV, no MediaPipe. Nothing is downloaded
here: the weights are in a folder already (see `pyfeat_weights`). Frames are looked at a batch at a time, and a clip's
action units are all that is held of it.
"""

import importlib
import io
import os
import subprocess
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from avpretext import shards
from avpretext.action_units import fex, pyfeat_weights, unit_shards
from avpretext.errors import UserError
from avpretext.flow.columns import ACTION_UNITS
from avpretext.options.media import ActionUnitOptions
from avpretext.options.pyfeat import PyFeatOptions
from avpretext.progress import progress

Images = NDArray[np.uint8]
Detector = Callable[[Images], fex.Faces]
"""From frames, RGB, shape (B, height, width, 3), to their faces; `frame` counts from 0 within the batch."""

PLACE_ONLY = {"python", "weights"}
"""Options that say where things are and shape no result; they stay out of the provenance."""


def run(frames: Path, all_options: ActionUnitOptions, output: Path) -> None:
    """Measure the action units in every frame of a shard by the options `pyfeat`.

    It is an error if weights are missing, py-feat cannot be imported, or there is no such device.
    """
    options = all_options.pyfeat
    weights = pyfeat_weights.located(options)
    detect = load_detector(options)
    shaped_by = {"backend": "pyfeat", "pyfeat": options.model_dump(mode="json", exclude=PLACE_ONLY)}
    lengths = shards.rows_per_clip(frames)
    clips = groupby(shards.iterate_parts(frames, ["frame", "time_s", "image"]), key=lambda part: part[0])

    def units(clip_id: str, parts: Iterable[tuple[str, pa.Table]]) -> unit_shards.Units:
        tables, label = (rows for _, rows in parts), f"action_units, {clip_id}"
        told = progress(tables, total=lengths[clip_id], unit="frames", label=label, size=len, within=True)
        return clip_units(clip_id, told, detect, options.batch_size)

    measured = (units(clip_id, parts) for clip_id, parts in clips)
    unit_shards.write(output, measured, len(lengths), shaped_by, models=weights)


def clip_units(clip_id: str, parts: Iterable[pa.Table], detect: Detector, batch_size: int) -> unit_shards.Units:
    """Return the action units of a clip, NaN in frames that show no face or cannot be decoded."""
    numbers: list[int] = []
    times: list[float] = []
    units: list[NDArray[np.float64]] = []
    followed = None
    for batch in batches(parts, batch_size):
        frame, time_s, images = zip(*batch, strict=True)
        values = np.full((len(batch), len(ACTION_UNITS)), np.nan)
        for places in same_size(images):
            faces = detect(np.stack([images[place] for place in places]))
            rows = fex.follow(faces, followed)
            followed = faces.boxes[rows[-1]] if len(rows) else followed
            values[places] = fex.on_frames(faces, rows, np.arange(len(places)))
        numbers += frame
        times += time_s
        units.append(values)
    return {"clip_id": [clip_id] * len(numbers), "frame": numbers, "time_s": times}, np.concatenate(units)


def batches(parts: Iterable[pa.Table], size: int) -> Iterator[list[tuple[int, float, Images | None]]]:
    """Yield frame number, time and image, `size` at a time; the image is None where it is damaged."""
    batch: list[tuple[int, float, Images | None]] = []
    for rows in parts:
        columns = (rows[name].to_pylist() for name in ("frame", "time_s", "image"))
        for frame, time_s, image in zip(*columns, strict=True):
            batch.append((frame, time_s, decode(image["bytes"])))
            if len(batch) == size:
                yield batch
                batch = []
    if batch:
        yield batch


def same_size(images: Iterable[Images | None]) -> list[list[int]]:
    """Return the places of the images, damaged ones left out, in runs of equal size: a batch must be one array.

    >>> small, large = np.zeros((4, 4, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)
    >>> same_size([small, small, None, small, large])
    [[0, 1, 3], [4]]
    """
    sized = [(place, image.shape) for place, image in enumerate(images) if image is not None]
    return [[place for place, _ in run] for _, run in groupby(sized, key=lambda one: one[1])]


def decode(jpeg: bytes | None) -> Images | None:
    """Return a stored frame as RGB, shape (height, width, 3), or None when it is damaged."""
    try:
        return np.asarray(Image.open(io.BytesIO(jpeg or b"")).convert("RGB"))
    except (OSError, ValueError, SyntaxError):  # what Pillow raises for bytes that are no whole image
        return None


def load_detector(options: PyFeatOptions) -> Detector:
    """Make the detector, offline, from the weights in their folder.

    py-feat looks for its weights inside its own package whatever the hub's settings are, so its way to the hub is led
    to the folder instead; it must be done before py-feat is imported, which binds the function's name.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        read_weights_from(pyfeat_weights.folder_of(options))
        feat, torch = importlib.import_module("feat"), importlib.import_module("torch")
    except (ImportError, RuntimeError, OSError) as error:
        raise UserError(
            f"py-feat cannot be imported ({pyfeat_weights.one_line(error)}); run `{pyfeat_weights.SETUP}` again: torch"
            " and torchvision must be builds for the same CUDA, or both for none"
        ) from None
    if options.device == "cuda" and not torch.cuda.is_available():
        raise UserError("action_units.pyfeat.device = 'cuda': torch finds no such GPU; set it to auto or cpu")
    detector = _made(feat, options)
    return lambda images: look(detector, torch, images)


def look(detector: Any, torch: Any, images: Images) -> fex.Faces:
    """Find the faces of some frames and their action units.

    These are the two steps of py-feat's own `detect`. In between, frames without a face are taken out: `detect` hands
    the networks a black picture for each, which takes as long as a face and makes v1 fail (a matrix without inverse).
    """
    pixels = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    size = {"face_size": detector.face_size} if hasattr(detector, "landmark_detector") else {}  # v2's is fixed
    found = detector.detect_faces(pixels, face_detection_threshold=fex.MIN_SCORE, **size)
    seen = [place for place, faces in enumerate(found) if not torch.isnan(faces["boxes"]).any()]
    if not seen:
        return fex.parse_faces({name: [] for name in fex.COLUMNS})
    sides = {side: torch.zeros(len(seen)) for side in ("Left", "Top", "Right", "Bottom")}
    batch = {"Image": pixels[seen], "Scale": torch.ones(len(seen)), "Padding": sides}
    table = detector.forward([found[place] for place in seen], batch)
    table[fex.FRAME] = np.repeat(seen, [len(found[place]["scores"]) for place in seen])
    return fex.parse_faces(table)


def _made(feat: Any, options: PyFeatOptions) -> Any:
    """Make the detector without the parts that no action unit needs: emotions, identity, gaze."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of head pose, which is not read, and of the versions of pickled classifiers
        if options.detector == "v2":
            return feat.Detectorv2(device=options.device, identity_model=None)
        return feat.Detectorv1(
            face_model=options.face_model,
            landmark_model=options.landmark_model,
            au_model=options.au_model,
            emotion_model=None,
            identity_model=None,
            gaze_model=None,
            device=options.device,
        )


def read_weights_from(folder: Path) -> None:
    """Make the hub's client look for files in this folder alone, whatever folder its caller names."""
    hub: Any = importlib.import_module("huggingface_hub")
    download = hub.hf_hub_download

    def from_folder(*positional: Any, **named: Any) -> Any:
        return download(*positional, **(named | {"cache_dir": str(folder), "local_files_only": True}))

    hub.hf_hub_download = from_folder


IMPORTABLE = "import importlib.util, sys; sys.exit(importlib.util.find_spec('feat') is None)"


def check(options: PyFeatOptions) -> None:
    """Check, before anything is run, that py-feat's Python, the package and the weights are there; some .1 s.

    What is missing is an error that names the fix.
    """
    python = pyfeat_weights.python_of(options)
    if subprocess.run([str(python), "-c", IMPORTABLE], capture_output=True, check=False).returncode:
        raise UserError(
            f"action_units.pyfeat.python = '{options.python}': it has no py-feat; run `{pyfeat_weights.SETUP}`, or set"
            " action_units.backend to blendshapes"
        )
    pyfeat_weights.located(options)

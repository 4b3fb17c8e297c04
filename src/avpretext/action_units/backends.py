"""Stage `action_units`: their intensities, 0..1, frame by frame, by the backend that the configuration names.

A backend is a module that writes the same artefact: `blendshapes` out of the landmarks; `pyfeat` out of the frames, in
py-feat's own environment; `import` out of files that another program wrote. Only the one that is asked for is loaded,
since what the others need may not be installed.
"""

import importlib
from dataclasses import dataclass
from pathlib import Path

from avpretext.config import ActionUnitOptions
from avpretext.errors import UserError

BACKENDS = {
    "blendshapes": "avpretext.action_units.from_landmarks",
    "pyfeat": "avpretext.action_units.from_frames",
    "import": "avpretext.action_units.from_files",
}
"""Modules of the backends, by the names that the configuration uses."""

NEEDS = {"blendshapes": ("landmarks", "index"), "pyfeat": ("frames",), "import": ("landmarks", "index", "folder")}
"""What each of them reads, see `Inputs`."""


@dataclass(frozen=True)
class Inputs:
    """What a backend may read of a shard; None for what it does not need.

    Attributes
    ----------
    landmarks, frames
        Shards of `landmarks` and of `split`'s frames.
    index
        The shard that lists the clips and knows their speakers.
    neutral
        The table of `neutral`.
    folder
        Folder of the corpus, which the index's paths are relative to.
    """

    landmarks: Path | None = None
    frames: Path | None = None
    index: Path | None = None
    neutral: Path | None = None
    folder: Path | None = None


def run(inputs: Inputs, options: ActionUnitOptions, output: Path) -> None:
    """Measure the action units in every frame of a shard.

    Parameters
    ----------
    inputs
        What there is to read.
    options
        Backend, and what it needs to know.
    output
        `schemas.ACTION_UNIT_FRAMES`, null in gaps.

    Raises
    ------
    UserError
        An input that the backend needs is not given, or what the backend says.
    """
    for name in NEEDS[options.backend]:
        if getattr(inputs, name) is None:
            raise UserError(f"action_units.backend = {options.backend!r} needs --{name}")
    backend = importlib.import_module(BACKENDS[options.backend])
    if options.backend == "blendshapes":
        backend.run(inputs.landmarks, inputs.index, inputs.neutral, options, output)
    elif options.backend == "pyfeat":
        backend.run(inputs.frames, options.pyfeat, output)
    elif options.backend == "import":
        backend.run(inputs.landmarks, inputs.index, inputs.folder, options, output)
    else:
        backend.run(inputs.landmarks, options, output)

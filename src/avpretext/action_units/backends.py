"""Stage `action_units`: their intensities, 0..1, frame by frame, by the backend that the configuration names.

A backend is a function that writes the artefact: `blendshapes` out of the landmarks; `pyfeat` out of the frames, in
py-feat's own environment; `import` out of files that another program wrote; or the user's own, as
`my_package.module:NAME`. Only the backend in use is loaded, since the packages of the others may be missing.
"""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from avpretext import own_code
from avpretext.config import ActionUnitOptions
from avpretext.errors import UserError

BACKENDS = {
    "blendshapes": ("avpretext.action_units.from_landmarks", ("landmarks", "index", "neutral")),
    "pyfeat": ("avpretext.action_units.from_frames", ("frames",)),
    "import": ("avpretext.action_units.from_files", ("landmarks", "index", "folder")),
}
"""By the name that the configuration uses: module, and the `Inputs` that its `run` takes."""

OWN_NEEDS = ("landmarks",)
"""The inputs of the user's own backend, unless its module has other `NEEDS`."""

OPTIONAL = ("neutral",)
"""Inputs that may be missing: calibration may need no table of resting faces."""


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

    It is an error if an input that the backend needs is not given, or if the user's own backend cannot be imported.

    Parameters
    ----------
    output
        `action_units`, null in gaps.
    """
    needed = needs(options.backend)
    for name in needed:
        if getattr(inputs, name) is None and name not in OPTIONAL:
            raise UserError(f"action_units.backend = {options.backend!r} needs --{name}")
    function_of(options.backend)(*(getattr(inputs, name) for name in needed), options, output)


def needs(backend: str) -> tuple[str, ...]:
    """Return the names of the `Inputs` that a backend takes, in the order of its parameters.

    It is an error if the user's own backend cannot be imported, or names an unknown input.
    """
    if backend in BACKENDS:
        return BACKENDS[backend][1]
    function_of(backend)
    module = backend.partition(":")[0]
    needed = tuple(getattr(sys.modules[module], "NEEDS", OWN_NEEDS))
    known = tuple(Inputs.__dataclass_fields__)
    if unknown := [name for name in needed if name not in known]:
        raise UserError(
            f"action_units.backend = {backend!r}: NEEDS of {module} has {unknown[0]!r}; expected names among"
            f" {', '.join(known)}"
        )
    return needed


def function_of(backend: str) -> Callable[..., None]:
    """Import a backend, and return its function of the inputs that it `needs`, `ActionUnitOptions`, and the output."""
    if backend in BACKENDS:
        run_of_module: Callable[..., None] = importlib.import_module(BACKENDS[backend][0]).run
        return run_of_module
    found = own_code.resolve(backend, "action_units.backend")
    if not callable(found):
        raise UserError(
            f"action_units.backend = {backend!r}: a {type(found).__name__}; expected a function of"
            f" {', '.join(OWN_NEEDS)} (or what NEEDS of its module names), options and output"
        )
    own: Callable[..., None] = found
    return own

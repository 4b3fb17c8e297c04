"""The image that jobs run in under `--sdm apptainer`."""

import os
import shlex

from avpretext.config import Config
from avpretext.errors import UserError
from avpretext.options.base import locations

NONE = "--sdm apptainer: `container` is not in the configuration, so the jobs run without an image"
"""What a run without an image tells."""


def check(image: str) -> None:
    """Check that an image which is on this machine is there.

    Raises
    ------
    UserError
        It is not.
    """
    if "://" not in image and not os.path.exists(image):
        raise UserError(f"container = {image!r}: it is not there; docs/cluster.md tells how to build it")


def mounts(config: Config, results: str, source: str) -> str:
    """Return the arguments of apptainer that show jobs their results, the source, and what the configuration names.

    Apptainer itself shows a job the folder that it starts in. Of results that are not there yet it is the folder above.
    """
    encoders = (encoder.folder for encoder in config.encoders.values())
    named = {source, *locations(config), *filter(None, (config.models.folder, *encoders))}
    places = {_there(results), *filter(os.path.exists, named)}
    paths = {path(place) for place in places for path in (os.path.abspath, os.path.realpath)}
    return "".join(f" --bind {shlex.quote(path)}" for path in sorted(paths))


def _there(path: str) -> str:
    """Return the path, or the nearest folder above it that is there."""
    path = os.path.abspath(path)
    return path if os.path.exists(path) else _there(os.path.dirname(path))

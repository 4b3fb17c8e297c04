"""YAML files that come with the package."""

from importlib.resources import files
from typing import Any

import yaml

_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it: ten times as fast, and every job reads some of these files."""


def of_package(package: str, name: str) -> Any:
    """Return the content of a YAML file of a package."""
    return yaml.load(files(package).joinpath(name).read_text("utf-8"), _LOADER)

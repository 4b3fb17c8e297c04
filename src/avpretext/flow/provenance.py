"""What made an artefact: in the schema metadata of every Parquet file, under the key `avpretext`."""

from collections.abc import Mapping
from typing import Any

from avpretext import __version__
from avpretext.flow.artefacts import STAGES


def provenance(
    stage: str, options: Mapping[str, Any] | None = None, models: Mapping[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    """Return what made an artefact: stage and its version, package version, options, SHA-256 of the models used."""
    made_by = {"stage": stage, "package_version": __version__, "options": dict(options or {}), **more}
    if stage in STAGES:
        made_by["stage_version"] = STAGES[stage].version
    if models:
        made_by["models"] = dict(models)
    return made_by

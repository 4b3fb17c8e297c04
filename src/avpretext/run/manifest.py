"""The manifest of a run: what it made, from what, with which options, on which machine; `results/manifest.json`."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from avpretext import __version__, shards
from avpretext.config import Config
from avpretext.flow.artefacts import stage_of
from avpretext.options.base import settled
from avpretext.run.plan import Made, Plan
from avpretext.run.recipes import recorded

FORM = 1
"""Raised when a reader of the manifest must know of a change."""


def run(config: Config, output: Path) -> None:
    """Write the manifest: of every artefact of the plan its files, and what they were made from.

    Parameters
    ----------
    config
        The whole configuration.
    output
        The JSON file.

    Raises
    ------
    UserError
        An artefact of the plan is missing.
    """
    plan = Plan(config)
    found = {
        "manifest": FORM,
        "package_version": __version__,
        "config": settled(config),
        "artefacts": [_entry(made, plan) for made in plan.made()],
    }
    with shards.atomic_path(output) as temporary:
        temporary.write_text(json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def _entry(made: Made, plan: Plan) -> dict[str, Any]:
    """Return what is said of one artefact: each different way in which its files were made, and how many were so."""
    ways = Counter(json.dumps(way, sort_keys=True, allow_nan=False) for way in _ways(made.files))
    return {
        "artefact": made.artefact,
        "stage": stage_of(made.artefact),
        "of": made.of,
        "files": [plan.results.place_of(file) for file in made.files],
        "made": [{**json.loads(way), "files": count} for way, count in sorted(ways.items())],
    }


def _ways(files: Sequence[str]) -> Iterator[dict[str, Any]]:
    for file in files:
        recipe = recorded(Path(file))
        way: dict[str, Any] = {"from": [] if recipe is None else sorted(recipe.inputs)}
        if file.endswith(".parquet"):
            way |= {"by": shards.read_provenance(file), "machine": shards.read_machine(file)}
        elif recipe is not None:
            way |= {"by": {"stage": recipe.stage, "options": dict(recipe.options)}}
        yield way

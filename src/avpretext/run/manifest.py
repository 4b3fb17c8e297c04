"""The manifest of a run: what it made, from what, with which options, on which machine; `results/manifest.json`."""

import json
from collections import Counter
from collections.abc import Sequence
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
    """
    found = {
        "manifest": FORM,
        "package_version": __version__,
        "config": settled(config),
        "artefacts": entries(Plan(config)),
    }
    with shards.atomic_path(output) as temporary:
        temporary.write_text(json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def entries(plan: Plan) -> list[dict[str, Any]]:
    """Return what is said of each artefact of the plan that there is, in the order of the flow.

    `artefact`, `stage`, `of` (a corpus, setting or set of tasks), `files` below the results folder, and `made`: each
    different way in which they were made, with the number of files that were made so.
    """
    made = ((one, [file for file in one.files if Path(file).is_file()]) for one in plan.made)
    return [_entry(one, files, plan) for one, files in made if files]


def _entry(made: Made, files: Sequence[str], plan: Plan) -> dict[str, Any]:
    ways = Counter(json.dumps(_way(file), sort_keys=True, allow_nan=False) for file in files)
    return {
        "artefact": made.artefact,
        "stage": stage_of(made.artefact),
        "of": made.of,
        "files": [plan.layout.place_of(file) for file in files],
        "made": [{**json.loads(way), "files": count} for way, count in sorted(ways.items())],
    }


def _way(file: str) -> dict[str, Any]:
    """Return `by`: stage, versions, options, models; `machine`; and `from`: the names of what it was made from."""
    recipe = recorded(Path(file))
    way: dict[str, Any] = {"by": {}, "machine": {}, "from": [] if recipe is None else sorted(recipe.inputs)}
    if file.endswith(".parquet"):
        return way | {"by": shards.read_provenance(file), "machine": shards.read_machine(file)}
    if recipe is None:
        return way
    options = dict(recipe.options)
    return way | {"by": {"stage": recipe.stage, "stage_version": options.pop("version", None), "options": options}}

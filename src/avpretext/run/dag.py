"""The recipes of a workflow's jobs, and which of the artefacts that exist were made by other ones.

Snakemake keeps its own records in the working directory: what was moved, copied, or is named by another path has none.
So at each start, once Snakemake knows its jobs and before it decides which of them run, every artefact's own recipe is
compared with the one that it would be made by now. What differs is made again, by the way in which Snakemake treats
incomplete files. Where Snakemake has no record of an artefact whose recipe fits, the times of its inputs, which a copy
may have scrambled, count for nothing.
"""

import functools
import itertools
import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from avpretext import own_code
from avpretext.config import Config
from avpretext.flow.artefacts import STAGES
from avpretext.options.base import Location, locations
from avpretext.run import digests
from avpretext.run.digests import Content, Known
from avpretext.run.recipes import OWN, Recipe, differences, digest_of, is_beside, noted_beside, recorded, shortened

_READERS = 8
_SHOWN = 3
_NEWS = 500
"""Artefacts that are looked at closely to say why they are made again."""

Clips = Callable[[str, int], Content]
"""Name of a corpus and number of a shard: digests of its clips."""


class Job(Protocol):
    """A job of Snakemake, as far as it is needed here."""

    rule: Any
    params: Any
    wildcards: Any
    input: Any
    output: Any


@dataclass
class Compared:
    """What a start found: the recipe `wanted` of each artefact by its path, as Snakemake names it.

    `there` are the paths of artefacts that exist, `stale` of those that were made otherwise, `fitting` of those that
    are as they are wanted. `recorded` returns the recipe that an artefact was made by.
    """

    wanted: dict[str, Recipe] = field(default_factory=dict)
    there: set[str] = field(default_factory=set)
    stale: set[str] = field(default_factory=set)
    fitting: set[str] = field(default_factory=set)
    recorded: Callable[[Path], Recipe | None] = recorded


def stage_of(job: Job) -> str | None:
    """Return the stage that a job belongs to; None of rules of the user's own. A module may have another rule name."""
    return getattr(job.params, "stage", None)


class Recipes:
    """The recipes of all artefacts of a configuration in a folder.

    `clips` tells the clips of a shard, `names` our own names of rules that a module has under others.
    """

    def __init__(
        self, config: Config, clips: Clips, results: Path | None = None, names: Mapping[str, str] | None = None
    ) -> None:
        self.results = Path(config.results) if results is None else results
        self._prefix = f"{self.results}/"
        self._names = {} if names is None else names
        self._config, self._clips = config, clips
        self._options_by_text: dict[tuple[str, str], dict[str, Any]] = {}
        self._code: dict[str, str] = {}

    @functools.cached_property
    def known(self) -> Known:
        """What earlier starts have read."""
        return Known(self.results / OWN / "read.json")

    @functools.cached_property
    def _contents(self) -> dict[str, str]:
        """What stands in recipes for each name of a file or folder in the configuration."""
        return {name: self._content_of(name, mark) for name, mark in locations(self._config).items()}

    def _content_of(self, name: str, mark: Location) -> str:
        if mark.watched:
            return f"content {digests.of(name, self.known, mark.only).digest}"
        # Without the extension it is no file: the name of a label map that is shipped.
        return name if mark.only and not name.endswith(mark.only) else ""

    def of(self, levels: Iterable[Iterable[Job]]) -> dict[str, Recipe]:
        """Return the recipe of each artefact by its path; of the jobs, those that make inputs come first."""
        made: dict[str, Recipe] = {}
        for level in levels:
            for job in level:
                paths = {path: self._artefact(path) for path in map(str, job.output) if not is_beside(path)}
                if stage_of(job) is None or any(artefact.startswith("../") for artefact in paths.values()):
                    continue  # of a rule of the user's own, or of a copy of the workflow with other results
                options, (inputs, times) = self._options(job), self._inputs(job, made)
                for path, artefact in paths.items():
                    made[path] = Recipe(artefact, self._maker(job), options, inputs, times)
        return made

    def _maker(self, job: Job) -> str:
        """Return our own name of a job's rule; a stage may have several rules."""
        return self._names.get(job.rule.name, job.rule.name)

    def _artefact(self, path: str) -> str:
        """Return the path of an artefact within the results."""
        if path.startswith(self._prefix) and os.path.normpath(path) == path:
            return path[len(self._prefix) :]
        return Path(os.path.relpath(path, self.results)).as_posix()

    def _options(self, job: Job) -> dict[str, Any]:
        """Return version and options of a job: those of its rule's signature, which many jobs share."""
        text, stage = getattr(job.params, "options", "{}"), self._maker(job)
        if (stage, text) not in self._options_by_text:
            options = self._named_by_content(json.loads(text), code=stage != "index")
            if "version" not in options and stage in STAGES:
                options["version"] = STAGES[stage].version
            self._options_by_text[stage, text] = shortened(options)
        return self._options_by_text[stage, text]

    def _named_by_content(self, value: Any, code: bool) -> Any:
        """Put the content in the place of each name of a file and, if so asked, of the user's own code.

        Of a corpus's reader the index has what it says of each clip, see `_inputs`, and does without its code.
        """
        if isinstance(value, Mapping):
            return {name: self._named_by_content(entry, code) for name, entry in value.items()}
        if isinstance(value, list):
            return [self._named_by_content(entry, code) for entry in value]
        if code and isinstance(value, str) and own_code.is_own(value):
            if value not in self._code:
                self._code[value] = f"{value} {own_code.digest(value)}"
            return self._code[value]
        return self._contents.get(value, value) if isinstance(value, str) else value

    def _inputs(self, job: Job, made: Mapping[str, Recipe]) -> tuple[dict[str, str], str]:
        """Return digests of the inputs, those of a folder together, and what times alone tell of them."""
        folders: dict[str, list[str]] = defaultdict(list)
        times: list[str] = []
        for path in itertools.filterfalse(is_beside, map(str, job.input)):
            if (recipe := made.get(path)) is not None:
                folders[recipe.folder].append(recipe.digest)
            else:
                content = digests.of(path, self.known)
                folders[os.path.basename(path)].append(content.digest)
                times += [content.times] if content.times else []
        if stage_of(job) == "index":
            clips = self._clips(job.wildcards.corpus, int(job.wildcards.shard))
            folders["clips"].append(clips.digest)
            times.append(clips.times)
        inputs = {name: found[0] if len(found) == 1 else digest_of(" ".join(found))
                  for name, found in folders.items()}  # fmt: skip
        return inputs, digests.joined(times) if times else ""

    def compare(self, levels: Iterable[Iterable[Job]], stored: Set[str] | None = None) -> Compared:
        """Compare what exists with what the jobs would make.

        `stored` are the artefacts that exist in a bucket; of these only the recipes beside them are here.
        """
        found = Compared(self.of(levels))
        fixed = {name for name, stage in STAGES.items() if stage.fixed}
        exists: Callable[[str], bool] = os.path.exists
        read: Callable[[str, str], str] = self._identity
        if stored is not None:
            exists, read, found.recorded = stored.__contains__, _identity_beside, noted_beside
        found.there = set(filter(exists, found.wanted))
        there = [path for path, recipe in found.wanted.items() if path in found.there and recipe.stage not in fixed]
        with ThreadPoolExecutor(_READERS) as pool:
            identities = pool.map(read, there, [found.wanted[path].artefact for path in there])
            for path, identity in zip(there, identities, strict=True):
                fits = identity == found.wanted[path].identity
                (found.fitting if fits else found.stale).add(path)
        self.known.save()
        return found

    def _identity(self, path: str, artefact: str) -> str:
        """Return the identity of the recipe that an artefact was made by, empty if there is none."""
        if os.path.isdir(path):
            return _identity_of(path)
        try:
            kept = self.known.get(path, artefact)
            if kept is None:
                kept = [_identity_of(path)]
                self.known.put(path, artefact, *kept)
        except OSError:  # gone meanwhile: a run is at work, and this is a dry run
            return ""
        return str(kept[0])


def lacking(found: Compared, jobs: Iterable[Job]) -> set[str]:
    """Return the manifest if it is there and a file that it names is not.

    Snakemake makes no file again that others were made from; of tables and pages only the manifest names them all.
    """
    of_manifest = [job for job in jobs if stage_of(job) == "manifest"]
    lacks = [job for job in of_manifest if any(path not in found.there for path in job.input if path in found.wanted)]
    return {path for job in lacks for path in map(str, job.output) if path in found.there}


def _identity_of(path: str) -> str:
    recipe = recorded(Path(path))
    return "" if recipe is None else recipe.identity


def _identity_beside(path: str, artefact: str) -> str:
    """Return the identity of the recipe that is noted beside an artefact, empty if there is none."""
    recipe = noted_beside(Path(path))
    return "" if recipe is None else recipe.identity


def explained(found: Compared) -> str:
    """Say in a line how many artefacts are made again, and why: causes first, most frequent first."""
    reasons: Counter[str] = Counter()
    artefacts = {recipe.artefact for path, recipe in found.wanted.items() if path in found.stale}
    folders = {os.path.dirname(artefact) for artefact in artefacts}
    for path in sorted(found.stale)[:_NEWS]:
        causes = differences(found.wanted[path], found.recorded(Path(path)))
        reasons.update(cause for cause in causes if cause not in folders)
    # Tables know options by their groups alone.
    for group in [cause for cause in reasons if any(other.startswith(f"{cause}.") for other in reasons)]:
        del reasons[group]
    shown = [f"{cause} ({count})" for cause, count in reasons.most_common(_SHOWN)]
    more = f", {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
    why = f": {', '.join(shown)}{more}, and what is made from these" if shown else ""
    return f"{len(found.stale)} artefacts in the results were made from something else and are made again{why}"

"""A run opened for reading: the one module through which tables, pages and pictures read the files of a run.

A file that is not there reads as None, or as no rows: not every stage runs for every corpus. So does one that the
configuration does not ask for, which an earlier one or a command by hand has left.
"""

import csv
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from avpretext import shards
from avpretext.config import Config
from avpretext.corpora.settings import Setting, settings_of
from avpretext.evaluation.kinds import SCORINGS, Scoring
from avpretext.flow.paths import Layout, shard_of
from avpretext.progress import progress
from avpretext.run import manifest
from avpretext.run.plan import Plan

Rows = list[dict[str, Any]]

NAMED = ("corpus", "target", "protocol")
"""The columns that name a setting of a corpus in every table."""


@dataclass(frozen=True)
class Evaluated:
    """A corpus in one setting: a label target and a protocol."""

    corpus: str
    setting: Setting

    @property
    def heading(self) -> str:
        """Its name, as people read it."""
        return f"{self.corpus}, target {self.setting.target_name}, protocol {self.setting.protocol}"

    @property
    def scoring(self) -> Scoring:
        """How it is scored."""
        return SCORINGS[self.setting.kind]

    @property
    def named(self) -> dict[str, Any]:
        """The columns `NAMED`."""
        return dict(zip(NAMED, (self.corpus, self.setting.target_name, self.setting.protocol), strict=True))


@dataclass(frozen=True)
class OpenRun:
    """A configuration and its results folder."""

    config: Config

    @cached_property
    def plan(self) -> Plan:
        """What the configuration asks for."""
        return Plan(self.config)

    @property
    def layout(self) -> Layout:
        """Where the files are."""
        return self.plan.layout

    @cached_property
    def manifest(self) -> list[dict[str, Any]]:
        """What made each artefact, see `manifest.entries`: as the run wrote it, or of the files that there are."""
        written = Path(self.layout.path("manifest"))
        if not written.is_file():
            return manifest.entries(self.plan)
        found: list[dict[str, Any]] = json.loads(written.read_text("utf-8"))["artefacts"]
        return found

    @cached_property
    def _planned(self) -> frozenset[str]:
        return frozenset([*self.plan.files, *self.plan.ablation()])

    def files(self, corpus: str, artefact: str) -> list[str]:
        """Return the files of an artefact of a corpus that are planned and there, such as all shards."""
        return present([file for file in self.plan.shards(corpus, artefact) if file in self._planned])

    def read(self, corpus: str, artefact: str, columns: Sequence[str] | None = None) -> pl.DataFrame | None:
        """Return the rows of an artefact, of all clips."""
        return read_present(self.files(corpus, artefact), columns)

    def groups(self, corpus: str, artefact: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the rows of an artefact, a row group at a time."""
        files, label = self.files(corpus, artefact), f"results, {artefact} of {corpus}"
        for path in progress(files, total=len(files), unit="shards", label=label, quiet=True):
            yield from shards.iterate_groups(path, columns)

    def clips(
        self, corpus: str, artefact: str, columns: Sequence[str], wanted: Collection[str] | None = None
    ) -> Iterator[tuple[str, pa.Table]]:
        """Yield (clip_id, its rows) of an artefact, a clip at a time: all, or those `wanted`.

        Of shards without any wanted clip, no more than the clip_ids are read.
        """
        for path in self.files(corpus, artefact):
            if wanted is None or not set(wanted).isdisjoint(shards.rows_per_clip(path)):
                found = shards.iterate_clips(path, columns)
                yield from (clip for clip in found if wanted is None or clip[0] in wanted)

    def clip_ids(self, corpus: str, artefact: str) -> set[str]:
        """Return the clips that an artefact has rows of; what is held does not grow with the rows."""
        return {clip_id for path in self.files(corpus, artefact) for clip_id in shards.rows_per_clip(path)}

    def clip(
        self, corpus: str, artefact: str, clip_id: str, columns: Sequence[str] | None = None
    ) -> pl.DataFrame | None:
        """Return the rows of one clip; its shard by the hash of its name is looked through first."""
        likely = f"{shard_of(clip_id, self.config.corpora[corpus].shards):04d}.parquet"
        files = sorted(self.files(corpus, artefact), key=lambda path: not path.endswith(likely))
        return clip_rows(files, clip_id, columns)

    def made_by(self, corpus: str, artefact: str) -> dict[str, Any]:
        """Return the provenance of an artefact's first file; empty where there is none."""
        files = self.files(corpus, artefact)
        return shards.read_provenance(files[0]) if files else {}

    def labels(self, corpus: str, task: str, columns: Sequence[str] | None = None) -> pl.DataFrame | None:
        """Return the pseudo-labels of a pretext task."""
        return self.read(corpus, f"labels_{task}", columns)

    def listed(self, corpus: str, columns: Sequence[str] | None = ("clip_id", "speaker")) -> pl.DataFrame | None:
        """Return the clips of a corpus, cut from its recordings or its files themselves, refused ones too."""
        return self.read(corpus, self.config.corpora[corpus].clips_stage, columns)

    @cached_property
    def refused(self) -> pl.DataFrame:
        """Every refused clip: corpus, clip_id, path, stage, reason, detail; sorted."""
        columns = ["corpus", "clip_id", "path", "stage", "reason", "detail"]
        found = [pl.DataFrame(schema=dict.fromkeys(columns, pl.String))]
        for corpus in self.config.with_clips():
            rows = self.read(corpus, "rejects")
            if rows is not None:
                found.append(rows.with_columns(pl.lit(corpus).alias("corpus")).select(columns))
        return pl.concat(found).sort("corpus", "stage", "reason", "clip_id", "path", nulls_last=True)

    def refusals(self, corpus: str, name: str) -> Rows:
        """Return the refusals of a clip_id, or of a file by its path; of a run that goes on, what its stages note."""
        stages = [] if self.files(corpus, "rejects") else self.plan.refusing(corpus)
        noted = [path for stage in stages for path in self.plan.shards(corpus, f"{stage}.rejects")]
        rows = read_present([*self.files(corpus, "rejects"), *noted])
        named = pl.any_horizontal(pl.col("clip_id", "path").str.normalize("NFC") == name)
        return [] if rows is None else rows.filter(named).to_dicts()

    def kept(self, corpus: str) -> pl.DataFrame | None:
        """Return clip_id and speaker of the clips that no stage refused."""
        clips = self.listed(corpus)
        # What was refused before the clips were listed is not among them, and may bear the clip_id of one that is.
        later = self.refused.filter(
            pl.col("corpus") == self.config.clips_of(corpus), ~pl.col("stage").is_in(["index", "segment"])
        )
        return None if clips is None else clips.join(later, on="clip_id", how="anti", maintain_order="left")

    def settings(self) -> list[Evaluated]:
        """Return every corpus and setting, in the order of corpora and their targets."""
        return [
            Evaluated(corpus, setting)
            for corpus, options in self.config.corpora.items()
            for setting in settings_of(options)
        ]

    def evaluated(self) -> list[Evaluated]:
        """Return the corpora and settings that have scores."""
        return [
            one
            for one in self.settings()
            if present([self.layout.path("evaluate.metrics", corpus=one.corpus, setting=one.setting.name)])
        ]

    def scores(self, one: Evaluated, name: str) -> pl.DataFrame:
        """Return one of the tables of `evaluate`: metrics, runs, seeds, comparisons, confusion."""
        return shards.read(self.layout.path(f"evaluate.{name}", corpus=one.corpus, setting=one.setting.name))

    def overall(self) -> pl.DataFrame | None:
        """Return the scores over several corpora; None where no two are tested alike."""
        return read_present([self.layout.path("overall")]) if self.plan.groups else None

    def trust(self, one: Evaluated, name: str) -> pl.DataFrame | None:
        """Return one of the tables of `trust`: calibration, reliability, speakers, spread, sexes, raters, ..."""
        return read_present([self.layout.path(f"trust.{name}", corpus=one.corpus, setting=one.setting.name)])

    def targets(self, corpus: str, setting: Setting) -> tuple[pl.DataFrame, list[str]] | None:
        """Return clip_id, label and values of the clips that have a target, and its classes."""
        path = self.layout.path("targets", corpus=corpus, target=setting.target_name)
        rows = read_present([path], ["clip_id", "label", "values"])
        if rows is None:
            return None
        return rows.filter(pl.col("values").is_not_null()), shards.read_provenance(path).get("classes", [])

    def folds(self, one: Evaluated) -> tuple[pl.DataFrame, dict[str, Any]] | None:
        """Return the folds of a setting, and their provenance."""
        path = self.layout.path("folds", corpus=one.corpus, setting=one.setting.name)
        return (shards.read(path), shards.read_provenance(path)) if present([path]) else None

    def predictions(self, one: Evaluated, variant: str, start: str) -> str:
        """Return the file of the predictions of one variant, such as `base.mean`, from an initialisation."""
        return self.layout.path(
            "finetune.predictions", corpus=one.corpus, setting=one.setting.name, variant=variant, initialisation=start
        )

    def predictions_beside(self, one: Evaluated) -> list[str]:
        """Return the predictions of what is no initialisation, but for ensembles."""
        return present(self.plan.beside(one.corpus, one.setting.name))

    def co_occurrence(self, one: Evaluated) -> Path | None:
        """Return the file of how often raters name two emotions together."""
        path = self.layout.path("co_occurrence", corpus=one.corpus, setting=one.setting.name)
        return Path(path) if path in self._planned and Path(path).is_file() else None

    def pretrain_history(self, tasks: str) -> pl.DataFrame | None:
        """Return the curves of the pre-trainings on a set of tasks."""
        network = self.config.variant.network
        return read_present([self.layout.path("pretrain.history", network=network, tasks=tasks)])

    def finetune_history(self, one: Evaluated, start: str) -> pl.DataFrame | None:
        """Return the curves of the fine-tunings from an initialisation."""
        return read_present(self.plan.tuned(one.corpus, one.setting.name, self.config.variant, [start], "history"))

    def table(self, name: str) -> list[dict[str, str]]:
        """Return the rows of one of the tables of `tables`."""
        return read_csv(self.layout.path("tables", table=f"{name}.csv"))

    def truth(self, table: str) -> pl.DataFrame | None:
        """Return a table of the truth; corpora that share a folder share its rows."""
        folders = sorted({str(self.config.corpora[name].truth) for name in self.config.with_truth()})
        rows = read_present([f"{folder}/{table}.parquet" for folder in folders])
        return None if rows is None else rows.drop("corpus")

    def true_clip(self, corpus: str, table: str, clip_id: str) -> pl.DataFrame | None:
        """Return what a table of the truth knows of one clip."""
        folder = self.config.corpora[corpus].truth
        return None if folder is None else clip_rows(present([f"{folder}/{table}.parquet"]), clip_id)


def present(paths: Sequence[str]) -> list[str]:
    """Return the files that exist."""
    return [path for path in paths if Path(path).is_file()]


def read_present(paths: Sequence[str], columns: Sequence[str] | None = None) -> pl.DataFrame | None:
    """Read the files that exist as one data frame."""
    files = present(paths)
    return shards.read(files, columns) if files else None


def read_csv(path: str | Path, delimiter: str = ",") -> list[dict[str, str]]:
    """Return the rows of a CSV file; none where there is no file."""
    if not Path(path).is_file():
        return []
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def clip_rows(files: Sequence[str], clip_id: str, columns: Sequence[str] | None = None) -> pl.DataFrame | None:
    """Return the rows of a clip from the first file that has any."""
    for path in files:
        rows = shards.read_clip(path, clip_id, columns)
        if rows.height:
            return rows
    return None

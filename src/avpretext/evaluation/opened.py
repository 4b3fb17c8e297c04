"""A results folder opened in Python: `avpretext.open("results")`."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import soundfile
from numpy.typing import NDArray

from avpretext import shards
from avpretext.config_file import parse
from avpretext.errors import UserError, nearest
from avpretext.evaluation.open_run import OpenRun
from avpretext.flow.artefacts import ARTEFACTS, STAGES
from avpretext.flow.tasks import LABELLED
from avpretext.programs import workflow
from avpretext.refusal import printable


@dataclass(frozen=True)
class OpenedClip:
    """One clip of a run.

    Attributes
    ----------
    corpus
        Name of its corpus.
    clip_id
        Its name in the corpus.
    """

    run: OpenRun
    corpus: str
    clip_id: str

    def rows(self, artefact: str) -> pl.DataFrame:
        """Return its rows of an artefact, such as `speech`, `landmarks`, `labels_energy`; none where it has none."""
        found = self.run.clip(self.corpus, _known(self.run, artefact), self.clip_id)
        return pl.DataFrame() if found is None else found

    def audio(self) -> tuple[NDArray[np.float32], int]:
        """Return the samples, shape (T,), full scale 1, and their rate in Hz.

        Raises
        ------
        UserError
            The clip has no audio.
        """
        rows = self.rows("split.audio")
        if rows.is_empty():
            raise UserError(f"{self.corpus}/{self.clip_id}: no audio; the clip was refused, or `split` has not run")
        if not self.run.config.corpora[self.corpus].audio:
            raise UserError(f"{self.corpus}/{self.clip_id}: no audio; its corpus has audio: false")
        samples, rate_hz = soundfile.read(io.BytesIO(rows["audio"][0]["bytes"]), dtype="float32")
        return samples, int(rate_hz)


class Run:
    """A finished run; `manifest` is its manifest, `config` its configuration.

    Parameters
    ----------
    folder
        The results folder. It may have been moved; the corpora need not be there.

    Raises
    ------
    UserError
        The folder has no manifest: the workflow has not finished there.
    """

    def __init__(self, folder: str | Path) -> None:
        file = Path(folder) / ARTEFACTS["manifest"].place
        if not file.is_file():
            raise UserError(f"{file}: no such file; run the workflow (`{workflow()}`) to its end first")
        self.manifest: dict[str, Any] = json.loads(file.read_text("utf-8"))
        self.config = parse({**self.manifest["config"], "results": str(folder)}, str(file))
        self._run = OpenRun(self.config)

    @property
    def corpora(self) -> list[str]:
        """The names of its corpora that have clips of their own."""
        return self.config.with_clips()

    def clips(self) -> pl.DataFrame:
        """Return the clips that no stage refused: corpus, clip_id, path, speaker, label, ..., duration_s."""
        found = []
        for corpus in self.corpora:
            listed, kept = self._run.listed(corpus, None), self._run.kept(corpus)
            audio = self._run.read(corpus, "split.audio", ["clip_id", "duration_s"])
            if listed is not None and kept is not None and audio is not None:
                rows = listed.join(kept.select("clip_id"), on="clip_id", how="semi").join(audio, on="clip_id")
                found.append(_named(rows, corpus=corpus))
        return _together(found, "clips")

    def rejects(self) -> pl.DataFrame:
        """Return the refused clips: corpus, clip_id, path, stage, reason, detail."""
        return self._run.refused

    def labels(self, task: str) -> pl.DataFrame:
        """Return the pseudo-labels of a pretext task, of all corpora that have them.

        Raises
        ------
        UserError
            No task of this name has pseudo-labels.
        """
        if task not in LABELLED:
            raise UserError(f"labels of {task!r}: expected one of {', '.join(LABELLED)}{nearest(task, LABELLED)}")
        return self._of_corpora(LABELLED[task].stage)

    def table(self, artefact: str) -> pl.DataFrame:
        """Return all rows of an artefact of the corpora, such as `motion`; of large corpora take `clip` instead.

        Raises
        ------
        UserError
            The run has no such artefact.
        """
        return self._of_corpora(_known(self._run, artefact))

    def _of_corpora(self, artefact: str) -> pl.DataFrame:
        found = [(corpus, self._run.read(corpus, artefact)) for corpus in self.corpora]
        tables = [_named(rows, corpus=corpus) for corpus, rows in found if rows is not None]
        return _together(tables, artefact)

    def clip(self, clip_id: str, corpus: str | None = None) -> OpenedClip:
        """Return one clip, by its clip_id or by CORPUS/CLIP_ID.

        Raises
        ------
        UserError
            There is no such clip, or several corpora have one.
        """
        clips = self.clips()
        named = pl.concat_str("corpus", "clip_id", separator="/")
        found = clips.filter((pl.col("clip_id") == clip_id) | (named == clip_id))
        found = found if corpus is None else found.filter(pl.col("corpus") == corpus)
        if found.height != 1:
            several = ", ".join(found["corpus"])
            what = (
                f"clips of {several}: name the corpus"
                if found.height
                else "no such clip" + nearest(clip_id, clips["clip_id"])
            )
            raise UserError(f"{printable(clip_id)}: {what}")
        return OpenedClip(self._run, found["corpus"][0], found["clip_id"][0])

    def features(self, artefact: str, clip_id: str, corpus: str | None = None) -> pl.DataFrame:
        """Return the rows of one clip of an artefact, such as `speech`: see `clip` and `OpenedClip.rows`."""
        return self.clip(clip_id, corpus).rows(artefact)

    def predictions(self) -> pl.DataFrame:
        """Return the predictions of every system of the main table: corpus, setting, initialisation, fold, seed, ...

        `split` is `dev`, `test`, or `test@noise10` of test clips in a condition.
        """
        found = []
        for one in self._run.settings():
            for file in self._run.plan.predictions(one.corpus, one.setting.name):
                if Path(file).is_file():
                    found.append(_named(shards.read(file), corpus=one.corpus, setting=one.setting.name))
        return _together(found, "predictions")

    def scores(self, table: str = "metrics") -> pl.DataFrame:
        """Return a table of scores of every setting: `metrics`, `runs`, `seeds`, `comparisons` or `confusion`.

        Raises
        ------
        UserError
            There is no such table.
        """
        tables = STAGES["evaluate"].writes
        if table not in tables:
            raise UserError(f"scores: {table!r}: expected one of {', '.join(tables)}{nearest(table, tables)}")
        found = [
            _named(self._run.scores(one, table), corpus=one.corpus, setting=one.setting.name)
            for one in self._run.evaluated()
        ]
        return _together(found, "scores")


def _named(rows: pl.DataFrame, **names: str) -> pl.DataFrame:
    """Put columns that say where rows are from before the others."""
    return rows.select(*(pl.lit(text).alias(name) for name, text in names.items()), pl.all())


def _together(tables: Sequence[pl.DataFrame], what: str) -> pl.DataFrame:
    if not tables:
        raise UserError(f"this run has no {what}: its configuration asks for none, or all clips were refused")
    return pl.concat(tables, how="diagonal")


def _known(run: OpenRun, artefact: str) -> str:
    """Return an artefact's name if the run made it of any corpus."""
    of_corpora = [one for one in run.plan.made if one.of in run.config.corpora]
    made = list(dict.fromkeys(one.artefact for one in of_corpora if one.files == run.plan.shards(one.of, one.artefact)))
    made += run.plan.stored_encoders
    if artefact not in made:
        raise UserError(f"{artefact!r}: not in this run, which has {', '.join(made)}{nearest(artefact, made)}")
    return artefact

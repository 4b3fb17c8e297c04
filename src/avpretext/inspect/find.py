"""Find a clip by its name, with its row of the index and its refusals."""

import difflib
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from avpretext.config import Config
from avpretext.errors import UserError, nearest
from avpretext.evaluation.open_run import OpenRun, Rows
from avpretext.names import nfc
from avpretext.programs import workflow
from avpretext.refusal import REASONS
from avpretext.report.clip import Clip

SUGGESTED = 3
_COMPARED = 20_000
"""Names that are compared letter by letter with one that is not known: some seconds' worth."""


def locate(config: Config, name: str, corpus: str | None = None) -> Clip:
    """Find a clip by its clip_id, by `CORPUS/CLIP_ID`, or by the path of its file, in all corpora or in one alone.

    It is an error if no clip has that name (the message names those nearest to it), if clips of several corpora do, or
    if none is listed yet.
    """
    if corpus is not None and corpus not in config.corpora:
        raise UserError(f"no corpus {corpus!r} in the configuration{nearest(corpus, config.corpora)}")
    run, wanted = OpenRun(config), [config.clips_of(corpus)] if corpus else config.with_clips()
    found = [clip for one in wanted for clip in _in_corpus(run, one, _names(config, one, name))]
    if len(found) > 1:
        raise UserError(_several(name, found))
    if not found:
        raise UserError(_unknown(run, wanted, name))
    return found[0]


def _names(config: Config, corpus: str, name: str) -> list[str]:
    """Return what a clip may be called in a corpus: the name, without the corpus before it, without its folder."""
    name = nfc(name)
    prefixes = (f"{corpus}/", config.corpora[corpus].path.rstrip("/") + "/")
    return [name, *(name.removeprefix(prefix) for prefix in prefixes if name.startswith(prefix))]


def _in_corpus(run: OpenRun, corpus: str, names: list[str]) -> Iterator[Clip]:
    """Yield the clips of a corpus that bear one of the names; of those that are refused alone, the first."""
    listed = _listed(run, corpus, names)
    for row in listed:
        refusals = [entry for entry in run.refusals(corpus, row["clip_id"]) if entry["stage"] not in _EARLY]
        yield Clip(run, corpus, row["clip_id"], row, refusals)
    if not listed:
        lost = [entry for name in names for entry in run.refusals(corpus, name)]
        if lost:
            same = [entry for entry in lost if entry["clip_id"] == lost[0]["clip_id"]]
            yield Clip(run, corpus, lost[0]["clip_id"], {}, same)


_EARLY = ("index", "segment")
"""Stages whose refusals may bear the clip_id of a clip that was kept."""


def _listed(run: OpenRun, corpus: str, names: list[str]) -> Rows:
    """Return what is listed of the clips with one of these names: by clip_id, else by the path of their file."""
    for name in names:
        rows = run.clip(corpus, run.config.corpora[corpus].clips_stage, name)
        if rows is not None:
            return rows.head(1).to_dicts()
    clips = run.listed(corpus, None)
    return [] if clips is None else clips.filter(pl.col("path").str.normalize("NFC").is_in(names)).to_dicts()


def _several(name: str, found: list[Clip]) -> str:
    corpora = list(dict.fromkeys(clip.corpus for clip in found))
    if len(corpora) > 1:
        return f"{name!r} is a clip of {' and of '.join(corpora)}: say which, e.g. --corpus {corpora[0]}"
    clips = ", ".join(clip.clip_id for clip in found[:SUGGESTED])
    return f"{name!r} is the file of {len(found)} clips of {corpora[0]}: name one, e.g. {clips}"


def _unknown(run: OpenRun, corpora: list[str], name: str) -> str:
    listed = [rows for corpus in corpora if (rows := run.listed(corpus, ["clip_id"])) is not None]
    known = [clip_id for rows in listed for clip_id in sorted(rows["clip_id"])]
    where = ", ".join(corpora)
    if not known:
        return (
            f"{run.config.results}: no clips of {where} are listed there yet: run the workflow first, at least"
            f" `{workflow('features')}`"
        )
    if Path(name).is_dir():
        return f"{name}: is a folder; expected one clip, such as {known[0]}"
    close = nearest_names(name, known)
    hint = f"; the nearest: {', '.join(close)}" if close else f"; a clip is named like {known[0]}"
    return f"no clip {name!r} in {where} ({len(known)} clips){hint}"


def nearest_names(name: str, known: list[str]) -> list[str]:
    """Return the names that contain `name`, or else those that look most like it; at most three.

    >>> nearest_names("bbaf", ["s1_bbaf2n", "s2_bbaf3n", "s1_lrwp9a"])
    ['s1_bbaf2n', 's2_bbaf3n']
    >>> nearest_names("s1_lrwp9b", ["s1_bbaf2n", "s1_lrwp9a"])
    ['s1_lrwp9a']
    """
    within = [one for one in known if name.lower() in one.lower()]
    return within[:SUGGESTED] or difflib.get_close_matches(name, known[:_COMPARED], n=SUGGESTED, cutoff=0.5)


def said(refusals: Rows) -> str:
    """Put refusals into words: stage, reason and detail.

    >>> said([{"stage": "landmarks", "reason": "no_face", "detail": "a face in 2 of 50 frames"}])
    'refused by landmarks, no_face: no face is found in enough of the frames (a face in 2 of 50 frames)'
    """
    words = []
    for entry in refusals:
        detail = f" ({entry['detail']})" if entry["detail"] else ""
        words.append(f"refused by {entry['stage']}, {entry['reason']}: {REASONS[entry['reason']]}{detail}")
    return "; ".join(words)

"""Which clip is meant: its corpus, its shard, what is listed of it, and why it was refused if it was."""

import difflib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from avpretext import shards
from avpretext.config import Config
from avpretext.errors import UserError, nearest
from avpretext.evaluation.summaries import present, read_present
from avpretext.flow.paths import shard_of
from avpretext.flow.schemas import REASONS
from avpretext.names import nfc
from avpretext.run.plan import Plan

Row = dict[str, Any]

SUGGESTED = 3
_COMPARED = 20_000
"""Names that are compared letter by letter with one that is not known: some seconds' worth."""


@dataclass(frozen=True)
class Place:
    """A clip, or what was refused.

    Attributes
    ----------
    corpus, clip_id
        Which clip.
    shard
        Its shard; None for a file that never became a clip.
    row
        What `index` or `segment` lists of it; empty for a file that never became a clip.
    refusals
        Stage, reason and detail of each refusal, as in `rejects`.
    """

    corpus: str
    clip_id: str
    shard: int | None
    row: Row
    refusals: list[Row]


def locate(config: Config, name: str, corpus: str | None = None) -> Place:
    """Find a clip by its clip_id, by `CORPUS/CLIP_ID`, or by the path of its file.

    Parameters
    ----------
    config
        Whose corpora and results are searched.
    name
        The clip.
    corpus
        Look only there.

    Raises
    ------
    UserError
        No clip bears that name (the message names those nearest to it), clips of several corpora do, or none is listed
        yet.
    """
    plan = Plan(config)
    if corpus is not None and corpus not in config.corpora:
        raise UserError(f"no corpus {corpus!r} in the configuration{nearest(corpus, config.corpora)}")
    wanted = [corpus] if corpus else list(config.corpora)
    found = [place for one in wanted for place in _in_corpus(plan, one, _names(config, one, name))]
    if len(found) > 1:
        raise UserError(_several(name, found))
    if not found:
        raise UserError(_unknown(plan, wanted, name))
    return found[0]


def _names(config: Config, corpus: str, name: str) -> list[str]:
    """Return what a clip may be called in a corpus: the name, without the corpus before it, without its folder."""
    name = nfc(name)
    names = [name]
    for prefix in (f"{corpus}/", config.corpora[corpus].path.rstrip("/") + "/"):
        if name.startswith(prefix):
            names.append(name.removeprefix(prefix))
    return names


def _in_corpus(plan: Plan, corpus: str, names: list[str]) -> Iterator[Place]:
    """Yield the clips of a corpus that bear one of the names; of those that are refused alone, the first."""
    listed = list(_listed(plan, corpus, names))
    for shard, row in listed:
        refusals = [entry for entry in refused(plan, corpus, row["clip_id"]) if entry["stage"] not in _EARLY]
        yield Place(corpus, row["clip_id"], shard, row, refusals)
    if not listed:
        lost = [entry for name in names for entry in refused(plan, corpus, name)]
        if lost:
            same = [entry for entry in lost if entry["clip_id"] == lost[0]["clip_id"]]
            yield Place(corpus, lost[0]["clip_id"], None, {}, same)


_EARLY = ("index", "segment")
"""Stages whose refusals may bear the clip_id of a clip that was kept."""


def _listed(plan: Plan, corpus: str, names: list[str]) -> Iterator[tuple[int, Row]]:
    """Yield (shard, row) of the clips with one of these names: by clip_id, else by the path of their file."""
    files = plan.shards(corpus, plan.clips)
    likely = [shard_of(name, len(files)) for name in names]
    order = dict.fromkeys([*likely, *range(len(files))])
    by_path: list[tuple[int, Row]] = []
    for shard in order:
        for path in present([files[shard]]):
            rows = shards.read(path)
            exact = rows.filter(pl.col("clip_id").is_in(names))
            if exact.height:
                yield shard, exact.row(0, named=True)
                return
            of_path = rows.filter(pl.col("path").str.normalize("NFC").is_in(names))
            by_path += [(shard, row) for row in of_path.iter_rows(named=True)]
    yield from by_path


def refused(plan: Plan, corpus: str, name: str) -> list[Row]:
    """Return the refusals of a clip_id, or of a file by its path."""
    gathered = plan.layout.corpus(corpus, "rejects")
    stages = [] if present([gathered]) else plan.refusing(corpus)
    files = [gathered, *itertools.chain(*(plan.shards(corpus, stage, "rejects") for stage in stages))]
    rows = read_present(files)
    if rows is None:
        return []
    return rows.filter(pl.any_horizontal(pl.col("clip_id", "path").str.normalize("NFC") == name)).to_dicts()


def _several(name: str, found: list[Place]) -> str:
    corpora = list(dict.fromkeys(place.corpus for place in found))
    if len(corpora) > 1:
        return f"{name!r} is a clip of {' and of '.join(corpora)}: say which, e.g. --corpus {corpora[0]}"
    clips = ", ".join(place.clip_id for place in found[:SUGGESTED])
    return f"{name!r} is the file of {len(found)} clips of {corpora[0]}: name one, e.g. {clips}"


def _unknown(plan: Plan, corpora: list[str], name: str) -> str:
    """Say that no clip bears a name, and which names come nearest."""
    known = [clip_id for corpus in corpora for clip_id in _clip_ids(plan, corpus)]
    where = ", ".join(corpora)
    if not known:
        return (
            f"{plan.layout.results}: no clips of {where} are listed there yet: run the workflow first, at least"
            " `snakemake --cores 2 features`"
        )
    close = nearest_names(name, known)
    hint = f"; the nearest: {', '.join(close)}" if close else f"; a clip is named like {known[0]}"
    return f"no clip {name!r} in {where} ({len(known)} clips){hint}"


def _clip_ids(plan: Plan, corpus: str) -> list[str]:
    rows = read_present(plan.shards(corpus, plan.clips), ["clip_id"])
    return [] if rows is None else sorted(rows["clip_id"])


def nearest_names(name: str, known: list[str]) -> list[str]:
    """Return the names that contain `name`, or else those that look most like it; at most three.

    >>> nearest_names("bbaf", ["s1_bbaf2n", "s2_bbaf3n", "s1_lrwp9a"])
    ['s1_bbaf2n', 's2_bbaf3n']
    >>> nearest_names("s1_lrwp9b", ["s1_bbaf2n", "s1_lrwp9a"])
    ['s1_lrwp9a']
    """
    within = [one for one in known if name.lower() in one.lower()]
    return within[:SUGGESTED] or difflib.get_close_matches(name, known[:_COMPARED], n=SUGGESTED, cutoff=0.5)


def said(refusals: list[Row]) -> str:
    """Put refusals into words: stage, reason and detail.

    >>> said([{"stage": "landmarks", "reason": "no_face", "detail": "a face in 2 of 50 frames"}])
    'refused by landmarks, no_face: no face is found in enough of the frames (a face in 2 of 50 frames)'
    """
    words = []
    for entry in refusals:
        detail = f" ({entry['detail']})" if entry["detail"] else ""
        words.append(f"refused by {entry['stage']}, {entry['reason']}: {REASONS[entry['reason']]}{detail}")
    return "; ".join(words)

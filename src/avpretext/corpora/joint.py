"""Several attributes as one label target, as challenges on MSP-Podcast have it: arousal, valence and dominance."""

from collections.abc import Mapping

import polars as pl

from avpretext.config import CorpusOptions
from avpretext.corpora.reader import Source
from avpretext.errors import UserError, nearest

ALL = "attributes"
"""The target of all attributes of a corpus."""

JOINED_BY = "+"
"""Between the names of a target of some attributes, such as `arousal+valence`."""


def with_joint(sources: Mapping[str, Source], target: str) -> Mapping[str, Source]:
    """Return the sources of a reader and, where `target` is of several attributes, its own.

    `target` is `ALL`, or names joined by `JOINED_BY`. Of a corpus with a single attribute there is no such target.

    Raises
    ------
    UserError
        One of the names is no attribute, or stands there twice.
    """
    numbers = {name: source for name, source in sources.items() if source.kind == "attribute"}
    if target in sources:
        return sources
    if target == ALL and len(numbers) > 1:
        return {**sources, target: together(numbers)}
    if JOINED_BY not in target:
        return sources
    names = target.split(JOINED_BY)
    for place, name in enumerate(names):
        if name not in numbers or name in names[:place]:
            known = ", ".join(numbers) or "none: the corpus has no attributes"
            said = "stands there twice" if name in numbers else f"is no attribute{nearest(name, numbers)}"
            raise UserError(f"targets: {target!r}: {name!r} {said}; expected names of {known}, joined by {JOINED_BY}")
    return {**sources, target: together({name: numbers[name] for name in names})}


def together(parts: Mapping[str, Source]) -> Source:
    """Return several attributes as one source: a column for each, sorted by name; null where a clip lacks one."""

    def read(options: CorpusOptions) -> pl.DataFrame:
        joined: pl.DataFrame | None = None
        for name, source in sorted(parts.items()):
            assert source.read is not None  # only labels are in the index
            table = source.read(options).unique(maintain_order=True).rename({"value": name})
            joined = table if joined is None else joined.join(table, on="clip_id", how="full", coalesce=True)
        assert joined is not None
        return joined

    return Source("attributes", read)

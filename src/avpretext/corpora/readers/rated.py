"""Sources of corpora whose label files have a block per clip: consensus, means of attributes, votes of raters."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from avpretext.config import CorpusOptions
from avpretext.corpora.reader import Source


class Rated(NamedTuple):
    """What raters say of a clip: the label, None where they do not agree; means of attributes; how many chose what."""

    clip_id: str
    label: str | None
    means: Sequence[float]
    votes: Mapping[str, int]


Blocks = Callable[[CorpusOptions], Iterable[Rated]]


def sources(blocks: Blocks, attributes: Sequence[str], classes: Sequence[str]) -> dict[str, Source]:
    """Return `emotion`, the consensus; each attribute, NaN being unknown; and `votes` for the classes."""

    def labels(options: CorpusOptions) -> pl.DataFrame:
        return _table([(one.clip_id, one.label) for one in blocks(options)], {"label": pl.String})

    def attribute(place: int) -> Source:
        def read(options: CorpusOptions) -> pl.DataFrame:
            rows = [(one.clip_id, one.means[place]) for one in blocks(options)]
            return _table(rows, {"value": pl.Float64}).with_columns(pl.col("value").fill_nan(None))

        return Source("attribute", read)

    def votes(options: CorpusOptions) -> pl.DataFrame:
        rows = [(one.clip_id, *(one.votes.get(name, 0) for name in classes)) for one in blocks(options)]
        return _table(rows, dict.fromkeys(classes, pl.Int64))

    numbers = {name: attribute(place) for place, name in enumerate(attributes)}
    return {"emotion": Source("label", labels), **numbers, "votes": Source("votes", votes)}


def partitions(blocks: Blocks, part_of: Callable[[str], str]) -> Callable[[CorpusOptions], pl.DataFrame]:
    """Return `Reader.partitions` of a corpus whose clip_ids tell the partition of each rated clip."""
    return lambda options: _table(
        [(one.clip_id, part_of(one.clip_id)) for one in blocks(options)], {"partition": pl.String}
    )


def _table(rows: Sequence[tuple[object, ...]], columns: Mapping[str, pl.DataType | type[pl.DataType]]) -> pl.DataFrame:
    return pl.DataFrame(rows, {"clip_id": pl.String, **columns}, orient="row")

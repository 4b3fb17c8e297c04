"""What a row of the registry is: a stage, and a kind of file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import groupby
from typing import TYPE_CHECKING

from avpretext.flow.columns import COMMON, PATTERNS, Column, arrow_type

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Artefact:
    """One kind of file.

    Attributes
    ----------
    place
        Its path below the results folder, with Snakemake wildcards for what varies.
    row
        Of a Parquet file what a row is; of another file what it is.
    columns
        Names of the columns in order; a pattern such as `AU*` stands for several. Empty: it is no Parquet file.
    own
        Columns whose type, meaning or unit is not that of `COMMON`.
    """

    place: str
    row: str
    columns: str = ""
    own: Mapping[str, Column] = field(default_factory=dict)

    def column(self, name: str) -> Column | None:
        """Return what is said of a column, or of the pattern that it matches; None if nothing is."""
        key = self.key(name)
        return None if key is None else {**COMMON, **self.own}[key]

    def key(self, name: str) -> str | None:
        """Return under which name or pattern a column is described, its own before the common ones."""
        for known in (self.own, COMMON):
            for key in known:
                if key == name or ("*" in key and fnmatchcase(name, key.replace("[", "[[]"))):
                    return key
        return None

    def schema(
        self, names: Mapping[str, Sequence[str]] | None = None, types: Mapping[str, str] | None = None
    ) -> "pa.Schema":
        """Return the schema.

        Parameters
        ----------
        names
            Pattern to the names of its columns, where the configuration decides; others stand for themselves.
        types
            Types that the configuration decides, such as the number of landmarks.
        """
        import pyarrow as pa  # not with the registry: see `arrow_type`

        fields = []
        for name in self.columns.split():
            kind = (types or {}).get(name) or {**COMMON, **self.own}[name].type
            fields += [pa.field(one, arrow_type(kind)) for one in {**PATTERNS, **(names or {})}.get(name, [name])]
        return pa.schema(fields)

    def described(self) -> Iterator[tuple[list[str], Column]]:
        """Yield names of columns and what they mean; columns of one pattern come together."""
        names = (one for name in self.columns.split() for one in PATTERNS.get(name, (name,)))
        for key, group in groupby(names, key=self.key):
            yield list(group), {**COMMON, **self.own}[key or ""]


@dataclass(frozen=True)
class Stage:
    """One step of the flow.

    Attributes
    ----------
    name
        Of the rule, the command, the folder.
    module
        Where its function `run` is.
    version
        Raised whenever the output would change for the same input.
    summary
        What it does, in a sentence: the help of its command.
    writes
        Its files: the main one under an empty name, others under their own.
    options
        The parts of the configuration that shape its output, as dotted keys; `*`: all of it, since it shows what others
        made.
    unless_default
        More such options, which count only where they are not at their defaults: artefacts made before there was such
        an option stay good.
    but
        Options among these that do not: in a dotted key's group, the names left out.
    runs
        Stages whose work it does too, so that their versions count as well as its own.
    fixed
        True: its output can be no other, since all who read it check its SHA-256; a file put there by hand will do.
    refuses
        True: it may refuse clips, whose rows are in its `rejects`.
    given
        Parameter of `run`, or field of a dataclass that it takes: the function `module:NAME` of a later room that it
        is given.
    """

    name: str
    module: str
    version: int
    summary: str
    writes: Mapping[str, Artefact] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    unless_default: tuple[str, ...] = ()
    but: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    fixed: bool = False
    refuses: bool = False
    given: Mapping[str, str] = field(default_factory=dict)

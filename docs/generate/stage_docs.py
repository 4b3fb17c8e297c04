"""`docs/stages.md`: every stage with its options, its files, and their columns with types and units.

`python docs/generate/stage_docs.py docs/stages.md` writes it anew from the registry, `flow.artefacts`.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import config_docs
import pyarrow as pa

from avpretext.config import Config
from avpretext.flow.artefacts import STAGES, TRUTH
from avpretext.flow.columns import arrow_type
from avpretext.flow.registry import Artefact, Stage
from avpretext.flow.result_tables import tables_of
from avpretext.refusal import REASONS

HEADER = """\
# Every stage, its files and their columns

One word names a stage's rule, command, folder and configuration key. All paths are below `results/`. Words in CAPITALS
vary: `CORPUS` is a name of the configuration, `SHARD` is `0000`, `0001`, ...; `SETTING` is a label target and a
protocol, such as `voice.chou`; `VARIANT` is a loss and an aggregator, such as `base.mean`, `NETWORK` an aggregator;
both end in the name of the upstream if it is not the configuration's own. Each Parquet file names in its schema
metadata, under the key `avpretext`, the stage that made it, its version, options and model files ([how to read
it](other-tools.md#where-a-file-comes-from)). Null means: not known. An edit of the options named here redoes the stage
and what follows.

This page is generated (`python docs/generate/stage_docs.py docs/stages.md`).
"""


def document() -> str:
    """Return the whole page as Markdown."""
    parts = [HEADER]
    for stage in STAGES.values():
        parts += _section(stage)
    parts.append("\n## Truth of the demo\nWhat the synthetic corpus knows of itself, below `data/demo/`.\n")
    parts += [_table(artefact) for artefact in TRUTH.values()]
    parts.append("\n## Reasons\nWhy a clip can be refused: the column `reason` of `rejects`.\n\n")
    parts.append("| reason | meaning |\n|---|---|\n")
    parts += [f"| `{reason}` | {meaning} |\n" for reason, meaning in REASONS.items()]
    return "".join(parts)


def _section(stage: Stage) -> Iterator[str]:
    yield f"\n## {stage.name}\n{stage.summary}\n\n"
    links = map(option_link, (*stage.options, *stage.unless_default))
    options = "all of the configuration" if stage.options == ("*",) else ", ".join(links)
    yield f"Options: {options or 'none'}.\n"
    if stage.runs:
        yield f"\nWrites the files of {' and '.join(f'[{name}](#{name})' for name in stage.runs)}.\n"
    first = {artefact.columns: artefact for artefact in _tables()}
    for part, artefact in stage.writes.items():
        like = first.get(artefact.columns)
        if not artefact.columns:
            yield f"\n`{place_text(artefact)}`: {artefact.row}.\n"
        elif part == "rejects" or (like is not None and like.own == artefact.own and like is not artefact):
            yield f"\n`{place_text(artefact)}`: a row per {artefact.row}, with the columns of `{place_text(like)}`.\n"
        else:
            yield _table(artefact)
    if tables := tables_of(stage.name):
        yield "\n| file | what is in it |\n|---|---|\n"
        yield from (f"| `{file}` | {what} |\n" for file, what in tables.items())


def _tables() -> list[Artefact]:
    """Return the artefacts with columns, the first of each kind last: of rejects, that of the stage `rejects`."""
    every = [artefact for stage in STAGES.values() for artefact in stage.writes.values() if artefact.columns]
    gathered = STAGES["rejects"].writes[""]
    return [*reversed(every), gathered]


def place_text(artefact: Artefact | None) -> str:
    """Return where an artefact lies, what varies in capitals."""
    return "" if artefact is None else re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), artefact.place)


def option_link(key: str) -> str:
    """Return a link from a dotted key of the options to its group in configuration.md.

    >>> option_link("labels.energy"), option_link("corpora.{corpus}.path")
    ('[`labels.energy`](configuration.md#labelsenergy)', '[`path`](configuration.md#corporaname)')
    """
    if key.startswith("corpora."):
        name = key.rpartition(".")[2]
        return f"[`{name}`](configuration.md#{'corporanameprotocol' if name == 'protocol' else 'corporaname'})"
    if key == "encoders.{encoder}":
        return "[`encoders.NAME`](configuration.md#encodersname)"
    groups = dict(config_docs.groups(Config, ""))
    group = key if key in groups else key.rpartition(".")[0]
    return f"[`{key}`](configuration.md#{group.replace('.', '') or 'top-level'})"


def _table(artefact: Artefact) -> str:
    head = f"\n`{place_text(artefact)}`: a row per {artefact.row}.\n\n"
    return head + "| column | type | unit | meaning |\n|---|---|---|---|\n" + "".join(_rows(artefact))


def _rows(artefact: Artefact) -> Iterator[str]:
    for names, column in artefact.described():
        told = f"`{names[0]}` ... `{names[-1]}`" if len(names) > 3 else ", ".join(f"`{name}`" for name in names)
        meaning = column.meaning.replace("|", chr(92) + "|")
        yield f"| {told} | {type_text(arrow_type(column.type))} | {column.unit} | {meaning} |\n"


def type_text(kind: pa.DataType) -> str:
    """Return a type as readers of tables know it.

    >>> type_text(pa.list_(pa.float32(), 3)), type_text(pa.string()), type_text(pa.struct([("bytes", pa.binary())]))
    ('list of 3 float32', 'text', 'struct of bytes')
    """
    if pa.types.is_fixed_size_list(kind):
        return f"list of {kind.list_size} {type_text(kind.value_type)}"
    if pa.types.is_list(kind):
        return f"list of {type_text(kind.value_type)}"
    if pa.types.is_struct(kind):
        return f"struct of {', '.join(field.name for field in kind)}"
    names = {
        "string": "text", "double": "float64", "float": "float32", "halffloat": "float16", "bool": "true, false",
    }  # fmt: skip
    return names.get(str(kind), str(kind))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document(), "utf-8")

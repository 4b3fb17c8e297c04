"""`docs/configuration.md`: every key of the configuration with its values, default, unit and meaning.

`python docs/generate/config_docs.py docs/configuration.md` writes it anew from the options.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from avpretext.config import Config
from avpretext.config_file import NAMED
from avpretext.flow.artefacts import STAGES

HEADER = """\
# Every key of the configuration

A configuration is a YAML file, given with `snakemake --configfile mine.yaml`; it stands alone. Only `corpora` is
needed; what is left out has the default below. A key that is not here is an error that names the nearest one.
`avpretext config mine.yaml` prints yours in full. [config.yaml](../config.yaml) is the demo's, ready-made files are in
[examples](../examples). "Read by" names the [stages](stages.md) that an edit redoes, with all that follows.

This page is generated from `src/avpretext/options/` (`python docs/generate/config_docs.py docs/configuration.md`).
"""

Schema = Mapping[str, Any]


def document() -> str:
    """Return the whole page as Markdown."""
    top = {"": "The whole run.", **{f"{name}.NAME": _summary(group) for name, group in NAMED.items()}}
    parts = [HEADER]
    for key, model in groups(Config, ""):
        readers = read_by(key)
        parts.append(f"\n## {key or 'Top level'}\n{top.get(key) or _summary(model)}")
        parts.append(f" Read by {', '.join(f'`{stage}`' for stage in readers)}.\n" if readers else "\n")
        rows = [(f"`{name}`", *described(model, name)) for name in _own_keys(model)]
        parts.append("\n| key | values | default | meaning |\n|---|---|---|---|\n")
        parts += [f"| {' | '.join(row)} |\n" for row in rows]
    return "".join(parts)


def groups(model: type[BaseModel], key: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield each group of options under its dotted key, a group before the groups within it."""
    if _own_keys(model):
        yield key, model
    for name in model.model_fields:
        named = NAMED.get(name) if model is Config else None
        inner = named or _group(model, name)
        if inner is not None:
            place = f"{name}.NAME" if named else name
            yield from groups(inner, f"{key}.{place}".lstrip("."))


def _group(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """Return the group of options that a key stands for, None for a plain key."""
    kind = model.model_fields[name].annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _own_keys(model: type[BaseModel]) -> list[str]:
    return [
        name for name in model.model_fields if not (model is Config and name in NAMED) and _group(model, name) is None
    ]


def _summary(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").splitlines()[0]


def read_by(key: str) -> list[str]:
    """Return the stages that any option of a group shapes, in the order of the flow.

    >>> read_by("motion"), read_by("labels.energy")
    (['motion'], ['labels_energy'])
    """
    if not key:
        return []
    wanted = key.replace("encoders.NAME", "encoders.{encoder}").replace("NAME", "{corpus}")
    return [
        stage
        for stage, of in STAGES.items()
        if any(
            f"{option}.".startswith(f"{wanted}.") or f"{wanted}.".startswith(f"{option}.")
            for option in (*of.options, *of.unless_default)
        )
    ]


def described(model: type[BaseModel], name: str) -> tuple[str, str, str]:
    """Return values, default and meaning of a key, as Markdown that may stand in a table."""
    field = model.model_fields[name]
    schema = model.model_json_schema()["properties"][name]
    default = field.default
    told = "needed" if default is PydanticUndefined else f"`{_yaml(default)}`"
    return _cell(values_text(schema)), _cell(told), _cell(field.description or "")


def _yaml(value: Any) -> str:
    """Return a default as one would write it in the file."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, allow_nan=False)


def values_text(schema: Schema) -> str:
    """Return what values a key takes, from its JSON schema.

    >>> values_text({"type": "number", "minimum": 0, "maximum": 1})
    'number, 0 to 1'
    >>> values_text({"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "null"}]})
    'whole number, above 0; or null'
    >>> values_text({"type": "array", "items": {"enum": ["mean", "gated"]}})
    'list of `mean`, `gated`'
    """
    if "anyOf" in schema:
        kinds = [values_text(entry) for entry in schema["anyOf"]]
        return "; or ".join(dict.fromkeys(kinds))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_within(schema.get('items', {}))}"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"name: {_within(inner)}" if isinstance(inner, dict) else "name: value"
    names = {"string": "text", "integer": "whole number", "boolean": "true, false"}
    return ", ".join(part for part in (names.get(kind, kind), limits_text(schema)) if part)


def _within(schema: Schema) -> str:
    return values_text(schema).replace("; or ", " or ")


def limits_text(schema: Schema) -> str:
    """Return between what a number must lie, empty if anything will do.

    >>> limits_text({"exclusiveMinimum": 0, "maximum": 3}), limits_text({"minimum": 1})
    ('above 0, at most 3', 'at least 1')
    """
    if "minimum" in schema and "maximum" in schema:
        return f"{schema['minimum']:g} to {schema['maximum']:g}"
    words = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below",
             "multipleOf": "a multiple of"}  # fmt: skip
    return ", ".join(f"{word} {schema[key]:g}" for key, word in words.items() if key in schema)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document(), "utf-8")

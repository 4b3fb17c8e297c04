"""Reading a configuration file, saying what is wrong with it, and writing one out in full."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from avpretext.config import Config, CorpusOptions
from avpretext.errors import UserError, expect_file, nearest
from avpretext.escapes import WILD
from avpretext.options.base import locations
from avpretext.options.pretrained_encoders import EncoderOptions
from avpretext.options.upstreams import UpstreamOptions

HEADER = """\
# Every key of a configuration with its value in force, meaning and unit, as `avpretext config FILE` prints it.
# A file of your own may leave keys out.
"""

NAMED: dict[int | str, type[BaseModel]] = {
    "corpora": CorpusOptions, "encoders": EncoderOptions, "upstreams": UpstreamOptions,
}  # fmt: skip
"""Keys of the first level that hold groups of options by names of the user's own."""


def load(path: str | Path) -> Config:
    """Read and check a configuration file.

    It is an error if the file is missing or not YAML, or if a key or value is wrong; the message names the nearest
    right key.
    """
    file = Path(path)
    expected = "expected a configuration; the one of the demo is config.yaml at the top level"
    expect_file(file, expected, (".yaml", ".yml"))
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{file}: not YAML: {' '.join(str(error).split())}") from None
    return parse(content or {}, str(file))


def parse(content: dict[str, Any], source: str = "config") -> Config:
    """Check the content of a configuration file; see `load`."""
    with _explained(source):
        config = Config.model_validate(content)
    _check_names(config, source)
    for name in config.upstreams:
        as_upstream(config, name, f"{source}: ")
    return config


def _check_names(config: Config, source: str) -> None:
    """Raise where the name of a file of a rule has what Snakemake takes for a wildcard; those of a corpus may."""
    for path, location in locations(config.model_copy(update={"corpora": {}})).items():
        if not location.watched and any(letter in WILD or not letter.isprintable() for letter in path):
            raise UserError(
                f"{source}: the path {path!r} has one of {' '.join(WILD)}, which Snakemake takes for a wildcard, or a"
                " character that cannot be seen; rename it, or name a link to it"
            )


def as_upstream(config: Config, name: str, source: str = "") -> Config:
    """Return the configuration of an upstream, see `Config.as_upstream`.

    Raises
    ------
    UserError
        A key or value is wrong, or does not fit the others; the message names the upstream.
    """
    with _explained(f"{source}upstreams.{name}"):
        return config.as_upstream(name)


@contextmanager
def _explained(source: str) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        raise UserError("; ".join(_explain(source, entry) for entry in error.errors())) from None


def _explain(source: str, entry: Any) -> str:
    """Put one validation error into words, with the fix."""
    where = ".".join(str(part) for part in entry["loc"])
    if entry["type"] == "extra_forbidden":
        key = str(entry["loc"][-1])
        known = known_keys(entry["loc"][:-1])
        return f"{source}: unknown key {where!r}{nearest(key, known)} (known here: {', '.join(known)})"
    if entry["type"] == "missing":
        return f"{source}: {where!r} is missing"
    if entry["type"] == "value_error":
        # Options of a corpus, an encoder or an upstream do not know its name; other groups name themselves.
        of = f"{where}: " if entry["loc"][:1] in (("corpora",), ("encoders",), ("upstreams",)) else ""
        return f"{source}: {of}{entry['ctx']['error']}"
    return f"{source}: {where} = {entry['input']!r}: {entry['msg']}"


def known_keys(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that are allowed at a place of the configuration."""
    model: type[BaseModel] = Config
    for part in location:
        if model is Config and part in NAMED:
            model = NAMED[part]
        elif isinstance(part, str) and part in model.model_fields:
            kind = model.model_fields[part].annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                model = kind
    return list(model.model_fields)


def document(config: Config) -> str:
    """Return a configuration as YAML with every key, each with its value and, as a comment, its meaning and unit."""
    return HEADER + "\n".join(_lines(config, 0)) + "\n"


def _lines(group: BaseModel, depth: int) -> Iterator[str]:
    """Yield the lines of a group of options; a group within the first level stands apart."""
    space = "  " * depth
    for name, field in type(group).model_fields.items():
        value = getattr(group, name)
        if isinstance(value, BaseModel):
            yield from ([] if depth else [""])
            yield f"{space}{name}: # {(type(value).__doc__ or '').splitlines()[0]}"
            yield from _lines(value, depth + 1)
        elif name in NAMED and depth == 0 and value:
            yield from ("", f"{name}: # {field.description}")
            for key, options in value.items():
                yield f"{space}  {key}:"
                yield from _lines(options, depth + 2)
        else:
            yield f"{space}{name}: {_text(value)} # {field.description}"


def _text(value: Any) -> str:
    """Return a value as JSON that YAML reads alike: to YAML 1.1, 1e-05 is a string and 1.0e-05 a number."""
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)}: {_text(entry)}' for key, entry in value.items())}}}"
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("e-", ".0e-") if isinstance(value, float) and "." not in text else text

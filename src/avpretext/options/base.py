"""What every group of options is made of."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, core_schema

from avpretext.errors import nearest
from avpretext.own_code import FORM, PATTERN, is_own


class NameOrOwn:
    """Marks an option that holds one of these names, or the name of the user's own code: `my_package.module:NAME`."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def _checked(self, value: str) -> str:
        if value in self.names or is_own(value):
            return value
        expected = f"expected {', '.join(self.names)}, or code of your own as {FORM}{nearest(value, self.names)}"
        raise PydanticCustomError("name_or_own", "{expected}", {"expected": expected})

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Check a value after it is known to be text."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> Any:
        """List the names in the JSON schema."""
        return {"anyOf": [{"enum": list(self.names), "type": "string"}, {"pattern": PATTERN, "type": "string"}]}


Encoder = Annotated[str, NameOrOwn("blstm", "conv_gru", "conv", "lstm", "transformer", "layers")]
Aggregator = Annotated[
    str,
    NameOrOwn("mean", "gated", "rnn_attention", "self_attention", "self_attention_published", "attentive_statistics"),
]
Loss = Literal["base", "penalty"]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class Place:
    """Marks an option that says where or how fast a stage works, not what it makes: an edit of it redoes nothing."""


@dataclass(frozen=True)
class Location:
    """Marks an option that names a file or folder: what lies there counts, not how its path is written.

    Attributes
    ----------
    watched
        True: the option itself stands for what lies there. False: rules have the file as an input, and of a corpus know
        its clips.
    nested
        True: the values of a dictionary, or of lists in it, are such names too.
    only
        Extensions of the file, or of the files of a folder, that count; all by default.
    """

    watched: bool = False
    nested: bool = False
    only: tuple[str, ...] = ()


class Options(BaseModel):
    """A group of options; a key that is not among them is an error, and so is a number that is not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def settled(options: BaseModel) -> dict[str, Any]:
    """Return options as plain values, each that is marked as a `Place` at its default, or left out as that is."""
    plain = options.model_dump(mode="json")
    for name, field in type(options).model_fields.items():
        value = getattr(options, name)
        if name not in plain:
            continue
        if isinstance(value, BaseModel):
            plain[name] = settled(value)
        elif named := _groups(value):
            plain[name] = {key: settled(group) for key, group in named.items()}
        elif _is_place(field) and field.exclude_if and field.exclude_if(field.default):
            del plain[name]
        elif _is_place(field):
            plain[name] = field.default
    return plain


def places(options: BaseModel) -> dict[str, Any]:
    """Return the options that are marked as a `Place` alone, but for threads, which rules hand over by themselves."""
    found = {}
    for name, field in type(options).model_fields.items():
        value = getattr(options, name)
        if isinstance(value, BaseModel):
            found[name] = places(value)
        elif named := _groups(value):
            found[name] = {key: said for key, group in named.items() if (said := places(group))}
        elif _is_place(field) and name != "threads":
            found[name] = value
    return {name: value for name, value in found.items() if value != {}}


def locations(options: BaseModel) -> dict[str, Location]:
    """Return the names of files and folders that options hold, as they are written."""
    found: dict[str, Location] = {}
    for name, field in type(options).model_fields.items():
        value = getattr(options, name)
        groups = value.values() if isinstance(value, dict) else [value]
        for group in groups:
            found |= locations(group) if isinstance(group, BaseModel) else {}
        for mark in field.metadata:
            if isinstance(mark, Location):
                found |= dict.fromkeys(_names(value, mark.nested), mark)
    return found


def _groups(value: Any) -> dict[str, BaseModel]:
    """Return the groups of options that a dictionary holds by name; nothing of any other value."""
    if not isinstance(value, dict):
        return {}
    return {name: entry for name, entry in value.items() if isinstance(entry, BaseModel)}


def _names(value: Any, nested: bool) -> list[str]:
    if isinstance(value, dict | list) and nested:
        values = value.values() if isinstance(value, dict) else value
        return [name for entry in values for name in _names(entry, nested)]
    return [value] if isinstance(value, str) else []


def _is_place(field: FieldInfo) -> bool:
    return any(isinstance(mark, Place) for mark in field.metadata)

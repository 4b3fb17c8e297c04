"""The table of action units per emotion: read from YAML, checked, and applied as a scored match."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from avpretext.errors import UserError, nearest
from avpretext.flow.columns import ACTION_UNITS

Floats = NDArray[np.float64]
Weight = Annotated[float, Field(ge=0, le=1)]

SHIPPED = "labels/emotions.yaml"


class Prototype(BaseModel):
    """Which action units show one emotion; an entry is an AU, or several joined by `|`: the strongest counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    required: list[str] = Field(min_length=1)
    optional: list[str] = []
    excluding: list[str] = []

    @field_validator("required", "optional", "excluding")
    @classmethod
    def _are_action_units(cls, entries: list[str]) -> list[str]:
        for entry in entries:
            for unit in entry.split("|"):
                if unit not in ACTION_UNITS:
                    known = ", ".join(ACTION_UNITS)
                    raise ValueError(f"{unit!r} is no action unit{nearest(unit, ACTION_UNITS)}; expected of {known}")
        return entries


class EmotionTable(BaseModel):
    """The whole table; see the comments in `labels/emotions.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    optional_weight: Weight = 0.5
    excluding_weight: Weight = 0.5
    neutral: str | None = None
    emotions: dict[str, Prototype] = Field(min_length=2)

    @field_validator("neutral")
    @classmethod
    def _neutral_is_a_class(cls, neutral: str | None) -> str | None:
        if neutral is not None and not neutral:
            raise ValueError("neutral: expected the name of a class, or null")
        return neutral

    @property
    def classes(self) -> list[str]:
        """All classes, neutral included, sorted."""
        return sorted({*self.emotions, *([self.neutral] if self.neutral else [])})

    @property
    def action_units(self) -> list[str]:
        """The action units that any emotion requires."""
        used = {unit for emotion in self.emotions.values() for entry in emotion.required for unit in entry.split("|")}
        return sorted(used)


def read_table(path: str | None) -> EmotionTable:
    """Read a table of emotions; None for the one that is shipped.

    Raises
    ------
    UserError
        The file is missing or not YAML, or an entry is wrong; the message names the nearest right one.
    """
    source = path or SHIPPED
    try:
        text = Path(path).read_text("utf-8") if path else files("avpretext").joinpath(SHIPPED).read_text("utf-8")
        content = yaml.safe_load(text)
    except OSError as error:
        raise UserError(
            f"labels.emotion.table = {source!r}: cannot be read ({error.strerror}); null: the shipped one"
        ) from None
    except yaml.YAMLError as error:
        raise UserError(f"{source}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{source}: expected the keys {', '.join(EmotionTable.model_fields)}; see the shipped table")
    try:
        table = EmotionTable.model_validate(content)
    except ValidationError as error:
        raise UserError("; ".join(_explain(source, entry) for entry in error.errors())) from None
    if table.neutral in table.emotions:
        raise UserError(
            f"{source}: neutral: {table.neutral!r} is an emotion of the table too; give it a name of its own"
        )
    return table


def _explain(source: str, entry: Any) -> str:
    """Put one validation error into words."""
    where = ".".join(str(part) for part in entry["loc"])
    if entry["type"] == "extra_forbidden":
        known = list(Prototype.model_fields if len(entry["loc"]) > 1 else EmotionTable.model_fields)
        return (
            f"{source}: unknown key {where!r}{nearest(str(entry['loc'][-1]), known)} (known here: {', '.join(known)})"
        )
    if entry["type"] == "value_error":
        return f"{source}: {where}: {entry['ctx']['error']}"
    return f"{source}: {where}: {entry['msg']}"


def strongest(values: NDArray[np.floating]) -> Floats:
    """Return the largest known value of each row, shape (N, k) to (N,); NaN where none is known, or k is 0."""
    known = np.where(np.isfinite(values), values, -np.inf).max(axis=1, initial=-np.inf)
    return np.where(np.isfinite(known), known, np.nan)


@dataclass(frozen=True)
class _Intensities:
    """Action units of clips, looked up by the entries of a table."""

    values: Floats

    def of(self, entry: str) -> Floats:
        """Intensity of an entry in each clip: of several AUs joined by `|`, the strongest of those known."""
        return strongest(self.values[:, [ACTION_UNITS.index(unit) for unit in entry.split("|")]])

    def each(self, entries: list[str]) -> Floats:
        """Intensities of several entries, shape (clips, entries); NaN where unknown."""
        return np.stack([self.of(entry) for entry in entries], axis=1) if entries else np.empty((len(self.values), 0))


def _mean_of_known(values: Floats) -> Floats:
    """Return the mean of the known values of each row; 0 where none is known."""
    known = np.isfinite(values)
    return np.asarray(np.where(known, values, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1))


def scores(table: EmotionTable, intensities: NDArray[np.floating]) -> Floats:
    """Score each emotion of the table in each clip.

    Parameters
    ----------
    intensities
        Shape (N, 20): the action units of each clip, 0..1, in the order of `ACTION_UNITS`; NaN: unknown.

    Returns
    -------
    Shape (N, emotions), 0..1, in the order of ``table.emotions``: geometric mean of what is required, raised by the
    mean of what is optional, lowered by the strongest of what excludes it. NaN where an AU that is required is unknown;
    what else is unknown is left out.

    Examples
    --------
    >>> table = EmotionTable(emotions={"HAP": Prototype(name="happiness", required=["AU12"]),
    ...                                "SUR": Prototype(name="surprise", required=["AU01", "AU05|AU26"])})
    >>> face = np.zeros((1, 20))
    >>> face[0, ACTION_UNITS.index("AU01")], face[0, ACTION_UNITS.index("AU26")] = 0.9, 0.4
    >>> scores(table, face).round(2)
    array([[0. , 0.4]])
    """
    units = _Intensities(np.asarray(intensities, dtype=np.float64))
    columns = []
    for emotion in table.emotions.values():
        required = units.each(emotion.required)
        core = np.prod(required, axis=1) ** (1 / required.shape[1])
        more = 1 + table.optional_weight * _mean_of_known(units.each(emotion.optional))
        less = 1 - table.excluding_weight * np.nan_to_num(strongest(units.each(emotion.excluding)))
        columns.append(core * more / (1 + table.optional_weight) * less)
    return np.stack(columns, axis=1)

"""What each emotion shows in the face: a table read from YAML, checked, and how probable it makes each emotion.

The table holds the action units that each class shows on average over a clip, and how they vary around that together.
Of a clip with the action units x, the probability of a class c with the profile m(c) is that of a normal distribution:

    log p(c | x) = -(x - m(c))' S^-1 (x - m(c)) / 2 T + constant

with one covariance S for all classes (linear discriminant analysis; Fisher, "The use of multiple measurements in
taxonomic problems", Annals of Eugenics 7, 1936), so that emotions that need one action unit and emotions that need
three are compared like with like. The temperature T makes the probabilities what they say (Guo et al., "On calibration
of modern neural networks", ICML 2017).
"""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from avpretext.errors import UserError, nearest
from avpretext.flow.columns import ACTION_UNITS

Floats = NDArray[np.float64]

SHIPPED = {"six": "labels/emotions.yaml", "eight": "labels/emotions_eight.yaml"}
"""The tables that come along, by the word that `labels.emotion.table` names them by."""

REQUIRED, OPTIONAL = 0.3, 0.1
"""Above neutral, a prototype shows so much of what it requires and of what is optional: as the posed emotions of the
shipped table do on average."""

SHOWN = 0.05
"""A class shows the action units whose mean is this much above neutral."""

TELLING = 0.25
"""A class is scored where the known action units keep this share of its squared distance from neutral."""

Unit = Annotated[float, Field(ge=-1, le=1)]


class Emotion(BaseModel):
    """What shows one emotion: the mean of action units (`shows`; the others are as in neutral clips), or a prototype.

    An entry of a prototype is an action unit, or several joined by `|`, any of which may be the one that is shown.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    shows: dict[str, Unit] = {}
    required: list[str] = []
    optional: list[str] = []
    excluding: list[str] = []

    @field_validator("shows", "required", "optional", "excluding")
    @classmethod
    def _are_action_units(cls, entries: Any) -> Any:
        for entry in entries:
            for unit in entry.split("|"):
                if unit not in ACTION_UNITS:
                    known = ", ".join(ACTION_UNITS)
                    raise ValueError(f"{unit!r} is no action unit{nearest(unit, ACTION_UNITS)}; expected of {known}")
        return entries

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if bool(self.shows) == bool(self.required):
            raise ValueError("give either `shows` (the mean of each action unit) or `required` (a prototype)")
        return self


class EmotionTable(BaseModel):
    """The whole table; see the comments in `labels/emotions.yaml`.

    Attributes
    ----------
    neutral
        The class of clips that show nothing; None: such clips are `none`.
    rest, spread
        What neutral clips show; standard deviation of each action unit within a class.
    correlation
        Shape (20, 20), in the order of `ACTION_UNITS`: how they vary together within a class.
    temperature
        What differences of the logarithm of probability are divided by; None: that of the shipped table, or 1
        beside a `correlation`.
    backend
        By which action units were measured that the table is fitted to: such ones are compared as they are. None: they
        were measured from a resting face.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    neutral: str | None = None
    emotions: dict[str, Emotion] = Field(min_length=2)
    rest: dict[str, Unit] = {}
    spread: dict[str, Annotated[float, Field(gt=0, le=1)]] = {}
    correlation: list[list[Unit]] = []
    temperature: Annotated[float, Field(gt=0)] | None = None
    backend: str | None = None

    @field_validator("neutral")
    @classmethod
    def _neutral_is_a_class(cls, neutral: str | None) -> str | None:
        if neutral is not None and not neutral:
            raise ValueError("neutral: expected the name of a class, or null")
        return neutral

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        size = len(ACTION_UNITS)
        parts = [bool(self.rest), bool(self.spread), bool(self.correlation)]
        if any(parts) != all(parts):
            raise ValueError("rest, spread and correlation go together: give all three or none")
        if self.spread and set(self.spread) != set(ACTION_UNITS):
            raise ValueError(f"spread: expected all of {', '.join(ACTION_UNITS)}")
        if self.correlation and [len(row) for row in self.correlation] != [size] * size:
            raise ValueError(f"correlation: expected {size} rows of {size} numbers")
        if self.spread and list(self.spread) != list(ACTION_UNITS):
            raise ValueError("spread: name the action units in ascending order, as rows and columns of correlation are")
        matrix = np.array(self.correlation or np.eye(size))
        if not np.allclose(matrix, matrix.T) or not np.allclose(np.diag(matrix), 1):
            raise ValueError("correlation: expected 1 from corner to corner, and both halves alike")
        if np.linalg.eigvalsh(matrix).min() <= 0:
            raise ValueError("correlation: these numbers are no correlations (not positive definite)")
        return self

    @property
    def classes(self) -> list[str]:
        """All classes, neutral included, sorted."""
        return sorted({*self.emotions, *([self.neutral] if self.neutral else [])})

    def shown_by(self, label: str) -> list[str]:
        """Return what a class shows, the strongest first: action units, or several joined by `|`.

        Nothing for the neutral class.
        """
        emotion = self.emotions.get(label)
        if emotion is None or emotion.required:
            return [] if emotion is None else emotion.required
        rest = self._basis.rest
        above = {unit: mean - rest.get(unit, 0.0) for unit, mean in emotion.shows.items()}
        return sorted((unit for unit in above if above[unit] >= SHOWN), key=lambda unit: -above[unit])

    @property
    def _basis(self) -> "EmotionTable":
        """The table whose rest, spread and correlation count: this one, or the shipped one if it has none."""
        return self if self.correlation else read_table(None)

    @property
    def model(self) -> "Profiles":
        """The profiles and their covariance; of a table without one, that of the shipped table."""
        basis = self._basis
        rest = _vector(basis.rest)
        spread = _vector(basis.spread)
        covariance = np.array(basis.correlation) * spread * spread[:, None]
        profiles = [_profile(emotion, rest) for emotion in self.emotions.values()]
        return Profiles(np.stack([*profiles, rest]), covariance, self.temperature or basis.temperature or 1.0)


def _vector(units: dict[str, float]) -> Floats:
    return np.array([units.get(unit, 0.0) for unit in ACTION_UNITS])


def _profile(emotion: Emotion, rest: Floats) -> Floats:
    """Return the mean action units of an emotion, shape (20,): those that it does not name are as in neutral clips."""
    if emotion.shows:
        return np.array([emotion.shows.get(unit, at_rest) for unit, at_rest in zip(ACTION_UNITS, rest, strict=True)])
    profile = rest.copy()
    for entries, amount in ((emotion.optional, OPTIONAL), (emotion.required, REQUIRED)):
        for entry in entries:
            units = [ACTION_UNITS.index(unit) for unit in entry.split("|")]
            profile[units] = np.maximum(profile[units], rest[units] + amount / len(units) ** 0.5)
    profile[[ACTION_UNITS.index(unit) for entry in emotion.excluding for unit in entry.split("|")]] = 0.0
    return profile


@dataclass(frozen=True)
class Profiles:
    """The classes as normal distributions of one covariance (20, 20).

    `means` (classes, 20) are the emotions in the order of the table, neutral last.
    """

    means: Floats
    covariance: Floats
    temperature: float

    def log_odds(self, units: NDArray[np.floating]) -> Floats:
        """Return how much likelier each emotion is than neutral, by action units (N, 20), 0..1, NaN where unknown.

        Returns
        -------
        Shape (N, classes - 1): logarithm of the ratio, over the temperature. NaN for an emotion that the known action
        units cannot tell from neutral, and for all where nothing is known.
        """
        units = np.asarray(units, dtype=np.float64)
        found = np.full((len(units), len(self.means) - 1), np.nan)
        patterns, which = np.unique(np.isfinite(units), axis=0, return_inverse=True)
        for number, known in enumerate(patterns):
            if known.any():
                rows = np.flatnonzero(which.ravel() == number)
                found[rows] = self._of_known(np.asarray(units[rows][:, known], np.float64), known)
        return found

    def _of_known(self, units: Floats, known: NDArray[np.bool_]) -> Floats:
        away = self.means[:-1] - self.means[-1]
        weights = np.linalg.solve(self.covariance[np.ix_(known, known)], away[:, known].T)
        middle = (self.means[:-1, known] + self.means[-1, known]) / 2
        odds = (units @ weights - np.einsum("ck,kc->c", middle, weights)) / self.temperature
        distance = np.einsum("ck,kc->c", away[:, known], weights)
        whole = np.einsum("ck,kc->c", away, np.linalg.solve(self.covariance, away.T))
        return np.where(distance >= TELLING * whole, odds, np.nan)

    def probabilities(self, units: NDArray[np.floating]) -> Floats:
        """Return the probability of each class, shape (N, 20) to (N, classes), neutral last.

        NaN for an emotion that cannot be told from neutral, and for all where no emotion can be told.
        """
        emotions = self.log_odds(units)
        told = np.isfinite(emotions)
        odds = np.concatenate([np.where(told, emotions, -np.inf), np.zeros((len(emotions), 1))], axis=1)
        shares = np.exp(odds - odds.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        shares[:, :-1][~told] = np.nan
        shares[~told.any(axis=1)] = np.nan
        return np.asarray(shares)


def own_table(path: str | None) -> str | None:
    """Return the file that `labels.emotion.table` names; None for a table that is shipped."""
    return None if path is None or path in SHIPPED else path


def read_table(path: str | None) -> EmotionTable:
    """Read a table of emotions; None, `six` or `eight` for one that is shipped.

    A file that is missing or not YAML, and a wrong entry, is an error; the message names the nearest right one.
    """
    own = own_table(path)
    source = own or SHIPPED[path or "six"]
    try:
        text = Path(own).read_text("utf-8") if own else files("avpretext").joinpath(source).read_text("utf-8")
        content = yaml.safe_load(text)
    except OSError as error:
        raise UserError(
            f"labels.emotion.table = {source!r}: cannot be read ({error.strerror}); shipped are {', '.join(SHIPPED)}"
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
    where = ".".join(str(part) for part in entry["loc"])
    if entry["type"] == "extra_forbidden":
        if where in ("optional_weight", "excluding_weight"):
            return f"{source}: {where}: no longer weighed by hand; leave it out (see docs/action-units.md)"
        known = list(Emotion.model_fields if len(entry["loc"]) > 1 else EmotionTable.model_fields)
        return (
            f"{source}: unknown key {where!r}{nearest(str(entry['loc'][-1]), known)} (known here: {', '.join(known)})"
        )
    if entry["type"] == "value_error":
        return f"{source}: {where + ': ' if where else ''}{entry['ctx']['error']}"
    return f"{source}: {where}: {entry['msg']}"

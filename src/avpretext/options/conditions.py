"""Conditions in which test clips are heard too: their names, such as `noise10`, and the numbers in them."""

import re
from collections.abc import Sequence
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from avpretext.errors import UserError, nearest


class Form(NamedTuple):
    """An example of a condition's name, and the numbers that may be in it; empty: none is."""

    example: str
    amounts: Sequence[int]


FORMS = {
    "noise": Form("noise10", range(-20, 61)),
    "telephone": Form("telephone", ()),
    "mp3_": Form("mp3_32", (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)),
    "opus_": Form("opus_12", range(6, 257)),
    "room": Form("room600", range(100, 3001)),
}
"""The conditions by what their names start with."""

CLEAN = "clean"
"""The condition of the clips as they are."""

_NAME = re.compile(rf"({'|'.join(FORMS)})(0|-?[1-9]\d*)?")


class Condition(NamedTuple):
    """What is done to the sound of a clip.

    `kind` is a key of `FORMS`; `amount` the SNR in dB, the bit rate in kbit/s or the RT60 in ms; 0 of `telephone`.
    """

    kind: str
    amount: int

    @property
    def codec(self) -> str:
        """The lossy codec; empty if it is none."""
        return self.kind.removesuffix("_") if self.kind.endswith("_") else ""

    @classmethod
    def of(cls, name: str) -> "Condition":
        """Return the condition of a name.

        >>> Condition.of("noise-5"), Condition.of("telephone")
        (Condition(kind='noise', amount=-5), Condition(kind='telephone', amount=0))

        Raises
        ------
        UserError
            There is no such condition.
        """
        match = _NAME.fullmatch(name)
        kind, amount = match.groups() if match else ("", None)
        allowed = FORMS[kind].amounts if match else ()
        if match and (int(amount) in allowed if amount else not allowed):
            return cls(kind, int(amount or 0))
        raise UserError(f"condition {name!r}: expected {_expected(name, kind)}")


def _expected(name: str, kind: str) -> str:
    allowed = FORMS[kind].amounts if kind else ()
    if not allowed:
        examples = [form.example for form in FORMS.values()]
        return f"one such as {', '.join(examples)}{nearest(name, examples)}"
    listed = isinstance(allowed, tuple)
    numbers = f"one of {', '.join(map(str, allowed))}" if listed else f"{allowed[0]} to {allowed[-1]}"
    return f"a number after {kind}: {numbers}"


def _checked(name: str) -> str:
    try:
        Condition.of(name)
    except UserError as error:
        raise PydanticCustomError("condition", "{expected}", {"expected": str(error).partition(": ")[2]}) from None
    return name


ConditionName = Annotated[
    str, AfterValidator(_checked), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})
]
"""An option that holds the name of a condition."""

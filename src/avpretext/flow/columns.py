"""The columns of Parquet files: what a name means everywhere, its type and unit.

A column whose name means the same in every file stands in `COMMON`; where it differs, the file's row in
`flow.artefacts` says so.
"""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

S, F, D, I, L, BOOL = "string", "float", "double", "int32", "int64", "bool"  # noqa: E741
FLOATS = "float[]"
MEDIA = "media"
"""Audio or image in the layout that the Hugging Face `datasets` library decodes by itself."""


def arrow_type(name: str) -> "pa.DataType":
    """Return the Arrow type of a name such as `int32`, `float[]`, `float[122]`, `media`.

    >>> arrow_type("float[3]"), arrow_type("media")
    (FixedSizeListType(fixed_size_list<item: float>[3]), StructType(struct<bytes: binary, path: string>))
    """
    import pyarrow as pa  # it counts the threads that it may use when it is imported: after a command has set them

    if name == MEDIA:
        return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    item, bracket, size = name.partition("[")
    if not bracket:
        return pa.type_for_alias(item)
    return pa.list_(pa.type_for_alias(item), int(size[:-1]) if size != "]" else -1)


ACTION_UNITS = (
    "AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10", "AU11", "AU12",
    "AU14", "AU15", "AU17", "AU20", "AU23", "AU24", "AU25", "AU26", "AU28", "AU43",
)  # fmt: skip
"""The 20 action units that py-feat names."""

MOTION_REGIONS = ("face", "brows", "eyes", "mouth", "jaw")

PATTERNS = {"AU*": ACTION_UNITS, "speed_*": tuple(f"speed_{region}" for region in MOTION_REGIONS)}
"""Columns that stand for several: their names. Those that are not here are given when the schema is asked for."""


class Column(NamedTuple):
    """Type (see `arrow_type`), meaning and unit of a column; the unit is empty where there is none."""

    type: str
    meaning: str
    unit: str = ""


COMMON = {
    "clip_id": Column(S, "the clip; unique in its corpus"),
    "path": Column(S, "the file, relative to the folder of the corpus"),
    "speaker": Column(S, "who speaks; null: not known"),
    "label": Column(S, "the class"),
    "sentence": Column(S, "what is said, as the corpus names it"),
    "level": Column(S, "how strongly, as the corpus names it"),
    "start_s": Column(D, "start, from the start of the clip", "s"),
    "end_s": Column(D, "end, from the start of the clip", "s"),
    "size_bytes": Column(L, "size of the file", "bytes"),
    "stage": Column(S, "who refused it"),
    "reason": Column(S, "why, from a fixed list"),
    "detail": Column(S, "what exactly was seen"),
    "frame": Column(I, "number of the frame, from 0"),
    "time_s": Column(D, "time of the frame, from the start of the clip", "s"),
    "image": Column(MEDIA, "the picture: bytes of a JPEG, and a name"),
    "AU*": Column(F, "intensity of the action unit; null: no face, or not measured", "0..1"),
    "group": Column(S, "the speaker; of clips without one, the clip"),
    "frames": Column(L, "frames that it is from", "count"),
    "chunk": Column(I, "number of the chunk, from 0"),
    "confidence": Column(F, "0 at the threshold to 1 at the end of the values", "0..1"),
    "threshold": Column(D, "above it is high", "as `value`"),
    "corpus": Column(S, "name of the corpus in the configuration"),
    "initialisation": Column(
        S, "what the system started from: `scratch`, a set of tasks, or the name of what stands beside"
    ),
    "fold": Column(I, "number of the fold, from 0"),
    "seed": Column(I, "number of the run within the fold, from 0"),
    "seeds": Column(
        I, "trainings behind it: the seeds, of which those that share a pre-training count as one", "count"
    ),
    "pretraining": Column(I, "number of the pre-training that the run started from, from 0; null: none"),
    "pretrainings": Column(I, "pre-trainings behind it; 1: their luck is not in the interval; null: none", "count"),
    "epoch": Column(I, "passes over the training clips so far"),
    "split": Column(S, "`train`, `dev` or `test`"),
    "measure": Column(S, "what is measured, such as `macro_f1`, `uar`, `ccc`, `loss`"),
    "class": Column(S, "the class that is scored; null: all of them together"),
    "value": Column(D, "its value"),
    "difference": Column(D, "its value minus that of the other", "as `value`"),
    "ci_low": Column(D, "lower end of the interval, over speakers and trainings", "as `value`"),
    "ci_high": Column(D, "upper end of the interval", "as `value`"),
    "speakers": Column(I, "speakers behind it", "count"),
    "clips": Column(I, "clips behind it", "count"),
    "runs": Column(I, "runs behind it: folds times seeds", "count"),
    "count": Column(D, "how many", "count"),
    "predicted": Column(S, "the class that is predicted"),
    "probabilities": Column(
        FLOATS, "of each class; of attributes their predicted values; the classes are in the provenance", "0..1"
    ),
}
"""Columns that mean the same in most files."""

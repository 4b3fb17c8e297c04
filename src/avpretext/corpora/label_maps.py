"""Label maps: what each label of a corpus is learnt as, so that corpora share classes; null for not at all."""

from collections.abc import Collection, Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from avpretext.config import CorpusOptions
from avpretext.errors import UserError, nearest
from avpretext.names import EDGES, nfc

LabelMap = Mapping[str, str | None]
"""From a label to the class it is learnt as; null drops it."""

SHIPPED = "label_maps.yaml"
_SUFFIXES = (".yaml", ".yml")
_SHOWN = 10


def label_map_of(options: CorpusOptions) -> LabelMap | None:
    """Return the label map of a corpus, None where labels are learnt as they are.

    It is an error if there is no map of that name, none for this reader, no such file, or if it is no map of labels.
    """
    chosen = options.label_map
    if chosen is None:
        return None
    if not isinstance(chosen, str):
        return checked(chosen, "label_map")
    if chosen.endswith(_SUFFIXES):
        try:
            text = Path(chosen).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"label_map: {chosen}: cannot be read ({error}); correct corpora.NAME.label_map") from None
        return checked(_parsed(text, chosen), chosen)
    return shipped_map(chosen, options.reader)


def map_files(options: CorpusOptions) -> list[str]:
    """Return the file that the label map is read from, beside the configuration; empty if there is none."""
    chosen = options.label_map
    return [chosen] if isinstance(chosen, str) and chosen.endswith(_SUFFIXES) else []


def shipped_maps() -> dict[str, dict[str, LabelMap]]:
    """Return the label maps that come with the package: map name, reader, map."""
    content = _parsed(files("avpretext.corpora").joinpath(SHIPPED).read_text("utf-8"), SHIPPED)
    return {
        name: {reader: checked(labels, f"{SHIPPED}, {name}.{reader}") for reader, labels in readers.items()}
        for name, readers in content.items()
    }


def shipped_map(name: str, reader: str) -> LabelMap:
    """Return a shipped label map for a reader; it is an error if there is none."""
    maps = shipped_maps()
    if name not in maps:
        raise UserError(
            f"label_map: {name!r}; expected one of {', '.join(sorted(maps))}{nearest(name, maps)}; a map of your own is"
            " spelt out, {label: class}, or is the path of a file that ends in .yaml"
        )
    if reader not in maps[name]:
        others = sorted(other for other, readers in maps.items() if reader in readers)
        fix = f"maps for {reader!r} are {', '.join(others)}" if others else f"no map for {reader!r} comes with it"
        raise UserError(
            f"label_map: {name!r} is made for {', '.join(sorted(maps[name]))}, not for the reader {reader!r}; {fix}:"
            " spell one out, {label: class}"
        )
    return maps[name][reader]


def checked(content: Any, place: str) -> LabelMap:
    """Return a label map if it maps text to text or null, and not all to null; `place` is named where it does not."""
    if not isinstance(content, dict) or not content:
        raise UserError(f"{place}: a map of labels is expected, such as {{ANG: angry, HAP: happy, DIS: null}}")
    for label, new in content.items():
        # YAML reads 01 as a number and `no` as false.
        if not isinstance(label, str) or not (new is None or (isinstance(new, str) and new)):
            raise UserError(f"{place}: {label!r}: {new!r}; text is expected, and null for not at all: put it in quotes")
    if not any(content.values()):
        raise UserError(f"{place}: every label is null, so nothing would be learnt; give at least two classes")
    return {nfc(label).strip(EDGES): new and nfc(new) for label, new in content.items()}


def check_complete(labels: Iterable[str], label_map: LabelMap) -> None:
    """Raise UserError where labels are missing from a map: a label forgotten must not vanish from the results."""
    missing = sorted(set(labels) - set(label_map))
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise UserError(
            f"label_map: no word on {', '.join(map(repr, missing[:_SHOWN]))}{more}; the map has"
            f" {', '.join(sorted(label_map)[:_SHOWN])}: add what each is learnt as, or null for not at all"
        )


def unmatched_keys(options: CorpusOptions, label_map: LabelMap, labels: Collection[str | None]) -> list[str]:
    """Return that keys of a label map of the user's own are no clip's label, as sentences.

    A map that is shipped is for many copies of a corpus, so that keys may be idle.
    """
    own = not isinstance(options.label_map, str) or map_files(options)
    idle = sorted(set(label_map) - set(labels)) if own else []
    return [f"label_map: no clip is labelled {', '.join(map(repr, idle))}"] if idle else []


def _parsed(text: str, place: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{place}: not YAML ({' '.join(str(error).split())}); correct the file") from None

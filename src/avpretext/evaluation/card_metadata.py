"""The front matter of a model card, in the form of the Hugging Face hub: scores, corpora, languages, licence.

https://huggingface.co/docs/hub/model-cards and https://github.com/huggingface/hub-docs/blob/main/modelcard.md
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from avpretext.corpora.reader import Published
from avpretext.evaluation.kinds import MEASURE_NAMES

LANGUAGE_CODES = {
    "Arabic": "ar", "Bengali": "bn", "English": "en", "German": "de", "Italian": "it", "Mandarin": "zh",
    "Persian": "fa", "Polish": "pl", "Urdu": "ur",
}  # fmt: skip
"""ISO 639-1 codes of the languages of known corpora."""

HUB_METRICS = {
    "macro_precision": "precision", "macro_recall": "recall", "macro_f1": "f1", "uar": "recall", "war": "accuracy",
    "micro_f1": "f1", "pearson": "pearsonr",
}  # fmt: skip
"""Measure: id of the metric on the hub; other measures have none, and keep their name."""


def front_matter(said: Mapping[str, Any], features: Sequence[str], corpora: Mapping[str, Published | None]) -> str:
    """Return the front matter as YAML between two lines of dashes.

    Parameters
    ----------
    said
        The content of `card.json`.
    features
        That the model hears; they become tags.
    corpora
        name: what is published of it, of every corpus that the model is trained on.
    """
    languages = sorted({code for of in corpora.values() for code in language_codes(of)})
    content = {
        "library_name": "avpretext",
        "pipeline_tag": "audio-classification",
        "tags": ["speech-emotion-recognition", "avpretext", *features],
        **({"language": languages} if languages else {}),
        "license": "other",
        **licence(corpora),
        "datasets": unique(slug(display_name(name, of)) for name, of in corpora.items()),
        "metrics": unique(hub_metric(score["measure"]) for score in said["scores"]),
        "model-index": [
            {"name": f"{said['setting']}, networks by the same recipe", "results": [result(said, corpora)]}
        ],
    }
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{text}---\n\n"


def result(said: Mapping[str, Any], corpora: Mapping[str, Published | None]) -> dict[str, Any]:
    """Return the entry of `model-index`: the scores over all classes on the test clips of the corpus."""
    name = display_name(said["corpus"], corpora.get(said["corpus"]))
    counted = {key: said["scores"][0][key] for key in ("speakers", "clips", "runs")}
    return {
        "task": {"type": "audio-classification", "name": "Speech emotion recognition"},
        "dataset": {
            "name": name,
            "type": slug(name),
            "config": said["setting"],
            "split": "test",
            "args": {"note": said["estimate"], "protocol": said["protocol"], "speaker_leaks": said["leaks"], **counted},
        },
        "metrics": [metric(score, said["level"]) for score in said["scores"] if score["value"] is not None],
    }


def metric(score: Mapping[str, Any], level: float) -> dict[str, Any]:
    """Return a score as the hub has it; its interval of this level is among the arguments."""
    interval = {key: score[key] for key in ("low", "high") if score[key] is not None}
    return {
        "type": hub_metric(score["measure"]),
        "value": score["value"],
        "name": MEASURE_NAMES[score["measure"]],
        **({"args": {**interval, "level": level}} if interval else {}),
        "verified": False,
    }


def hub_metric(measure: str) -> str:
    """Return the id of a measure on the hub.

    >>> hub_metric("war"), hub_metric("ccc")
    ('accuracy', 'ccc')
    """
    return HUB_METRICS.get(measure, measure)


def licence(corpora: Mapping[str, Published | None]) -> dict[str, str]:
    """Return name and link of the licence: whoever uses the model must read the terms of its corpora.

    The link is left out where several corpora have terms, or the reader of the only one knows none.
    """
    names = unique(slug(display_name(name, of)).lower().replace("_", "-") for name, of in corpora.items())
    named = {"license_name": f"terms-of-{'-'.join(names)}"}
    known = [of.url for of in corpora.values() if of is not None and of.url]
    return {**named, "license_link": known[0]} if len(corpora) == len(known) == 1 else named


def language_codes(published: Published | None) -> list[str]:
    """Return the languages of a corpus; none where they are not known."""
    names = [] if published is None else published.language.split(", ")
    return [LANGUAGE_CODES[name] for name in names if name in LANGUAGE_CODES]


def display_name(corpus: str, published: Published | None) -> str:
    """Return the name under which a corpus is published, else its name in the configuration."""
    return corpus if published is None else published.name


def slug(name: str) -> str:
    """Return a name as the hub allows it in identifiers.

    >>> slug("CREMA-D"), slug("my talks, 2024")
    ('CREMA-D', 'my-talks-2024')
    """
    return re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-.") or "corpus"


def unique(values: Iterable[str]) -> list[str]:
    """Return values once each, in their order."""
    return list(dict.fromkeys(values))

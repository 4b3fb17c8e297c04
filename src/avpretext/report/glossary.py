"""The words of the report that a reader may not know, each explained once."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from avpretext.evaluation.kinds import MEASURE_NAMES
from avpretext.evaluation.open_run import OpenRun
from avpretext.flow.tasks import TASKS
from avpretext.labels.emotion_table import read_table
from avpretext.report.au_faces import NAMES
from avpretext.report.clip import emotion_table
from avpretext.report.label_page import NO_LABEL

MEASURES = {
    "macro_f1": "mean over the classes of F1, the harmonic mean of precision and recall. Each class counts the same;"
    " 1 is perfect.",
    "uar": "unweighted average recall: the share of the clips of a class that are recognised, mean over the classes."
    " Guessing gives 1 over the number of classes.",
    "war": "weighted average recall, or accuracy: the share of all clips that are recognised. Frequent classes count"
    " more.",
    "macro_precision": "precision is the share of the clips given a class that belong to it; mean over the classes.",
    "macro_recall": "recall is the share of the clips of a class that are given it; mean over the classes.",
    "micro_f1": "F1 of all decisions together, whatever their class.",
    "hamming_accuracy": "share of right decisions, each class of each clip being one.",
    "kl_divergence": "Kullback-Leibler divergence of the predicted shares of the classes from the true ones: 0 is"
    " perfect, less is better.",
    "ccc": "concordance correlation coefficient: 1 if predicted and true numbers are equal, 0 without relation. Unlike"
    " Pearson’s correlation it falls if predictions are too high or too low.",
    "pearson": "Pearson’s correlation of predicted and true numbers, −1 to 1.",
    "rmse": "root of the mean squared error, in the unit of the label: less is better.",
    "mae": "mean absolute error, in the unit of the label: less is better.",
}
"""Measures of the main table."""

PROTOCOLS = {
    "speaker_kfold": "the speakers are dealt into groups; each group tests once, the others train.",
    "leave_one_speaker_out": "each speaker tests once, the others train.",
    "speakers": "the configuration names the test speakers of each fold.",
    "partitions": "the corpus names the clips that train and test.",
    "cross_corpus": "all clips of the corpus test; other corpora train.",
    "chou": "CREMA-D’s five groups of actors of Chou et al. (2022); each tests once.",
    "hicmae": "CREMA-D’s folds of HiCMAE (Sun et al. 2024), without clips that choose the epoch.",
    "emobox": "the folds of EmoBox (Ma et al. 2024).",
    "emo_superb": "the folds of EMO-SUPERB (Wu et al. 2024).",
}
"""Names of protocols: who trains and who tests."""


class Word(NamedTuple):
    """A word, its name in addresses, and what it means."""

    name: str
    title: str
    means: str


def words(run: OpenRun, facts: Mapping[str, Any]) -> dict[str, list[Word]]:
    """Return the words that a page needs, by the place where they are tapped (see `explained`); each has one place."""
    evaluated = run.evaluated()
    main = [one.scoring.main for one in evaluated]
    others = [name for one in evaluated for name in one.scoring.shown if name not in main]
    protocols = [one.setting.protocol for one in evaluated]
    classes = _classes(run, [name for one in facts["results"] for name in one["classes"]], facts)
    found = {
        "first": [*(_HERE if facts["kind"] == "compared" else []), *_measures(main), *classes],
        "results": [*_measures(others), *(_protocol(name) for name in dict.fromkeys(protocols))],
        "labels": [_TASKS] if facts["balance"] else [],
        "faces": [_UNITS] if facts["faces"] else [],
    }
    return {place: listed for place, listed in found.items() if listed}


_HERE = [
    Word("scratch", "scratch", "the same network without pre-training: its weights begin at random."),
    Word(
        "holm",
        "Holm p",
        "how often luck alone would give a difference as large, corrected for the number of systems compared (Holm"
        " 1979). Below .05 the difference is called significant.",
    ),
]

_TASKS = Word(
    "tasks",
    "Pretext tasks",
    "what pre-training learns. "
    + " ".join(f"{task.title}: {task.summary.partition(': ')[2]}" for task in TASKS.values() if task.summary),
)

_UNITS = Word(
    "units",
    "Action units (AU)",
    "visible movements of single facial muscles, 0 (at rest) to 1. "
    + "; ".join(f"{unit} {name}" for unit, name in NAMES.items())
    + ".",
)


def _measures(names: Iterable[str]) -> list[Word]:
    known = (name for name in dict.fromkeys(names) if name in MEASURES)
    return [Word(name.replace("_", "-"), MEASURE_NAMES[name], MEASURES[name]) for name in known]


def _protocol(name: str) -> Word:
    return Word(f"protocol-{name.replace('_', '-')}", f"Protocol {name}", PROTOCOLS[name])


def _classes(run: OpenRun, classes: Iterable[str], facts: Mapping[str, Any]) -> list[Word]:
    """Return one word for all codes of emotions that the page shows and that are not their own name."""
    codes = _codes(run)
    of_speakers = (label for table in facts["speakers"].values() for group in table.groups for label in group.labels)
    shown = [name for name in dict.fromkeys((*classes, *of_speakers)) if name in codes and name != NO_LABEL]
    if not shown:
        return []
    said = "; ".join(f"{name} {codes[name]}" for name in shown)
    return [Word("classes", f"{', '.join(shown[:2])} …", f"classes of emotion: {said}.")]


def _codes(run: OpenRun) -> dict[str, str]:
    """Return codes of emotions with their names, of the shipped tables and of those that made labels."""
    used = (emotion_table(run, corpus) for corpus in run.config.with_clips())
    codes: dict[str, str] = {}
    for table in (read_table("eight"), read_table(None), *(one for one in used if one is not None)):
        codes |= {code: emotion.name for code, emotion in table.emotions.items() if emotion.name != code}
        codes |= {"NEU": "neutral"} if table.neutral == "NEU" else {}
    return codes

"""The main table as people read it: a section per corpus and setting, as Markdown and LaTeX."""

import sys
from collections.abc import Sequence
from typing import Any

from avpretext.config import Config
from avpretext.evaluation import formats, statistics
from avpretext.evaluation.folds import Protocol, protocol_of
from avpretext.evaluation.formats import decimal, probability
from avpretext.evaluation.kinds import MEASURE_NAMES, Scoring
from avpretext.evaluation.results import Evaluated, evaluated, main_rows
from avpretext.evaluation.summaries import Rows
from avpretext.paths import Layout
from avpretext.systems import DEEPEMOCLUSTER, MACHINES, TOGETHER, Machine

FEATURE_SETS = {"ComParE_2016": "ComParE", "eGeMAPSv02": "eGeMAPS"}
"""openSMILE's feature sets as papers call them."""


def header(scoring: Scoring) -> tuple[str, ...]:
    """Return the header of the printed main table."""
    others = (MEASURE_NAMES[measure] for measure in scoring.shown)
    return ("Initialisation", scoring.main_name, "mean ± std", "difference to scratch", "p", "p (Holm)", *others)


def printed(row: dict[str, Any], scoring: Scoring, config: Config) -> list[str]:
    """Return the cells of `header` for a row of the main table."""
    main = scoring.main
    return [
        start_name(row["initialisation"], config),
        with_interval(row, main),
        spread(row, main),
        with_interval(row, f"{main}_difference", sign=True),
        probability(row.get(f"{main}_p")),
        probability(row.get(f"{main}_p_holm")),
        *(number(row.get(measure)) for measure in scoring.shown),
    ]


def spread(row: dict[str, Any], measure: str) -> str:
    """Return mean and deviation of a measure over the runs, such as `0.601 ± 0.094`; nothing where there are none."""
    text = f"{decimal(row.get(f'{measure}_mean'), 3)} ± {decimal(row.get(f'{measure}_std'), 3)}"
    return _minus(text).removesuffix(" ± ").strip()


def number(value: float | None) -> str:
    """Return a score with three decimals; nothing where there is none."""
    return _minus(decimal(value, 3))


def start_name(initialisation: str, config: Config) -> str:
    """Return an initialisation, or a baseline, as people read it: `energy + emotion`, `scratch`."""
    if initialisation.startswith(TOGETHER):
        return _ensemble_name(initialisation.removeprefix(TOGETHER).split("+"), config)
    if initialisation in DEEPEMOCLUSTER.values():
        trained = initialisation == DEEPEMOCLUSTER["head_trained"]
        return f"DeepEmoCluster, head {'trained' if trained else 'as published'}"
    if initialisation in MACHINES:
        return _machine_name(MACHINES[initialisation], config)
    return initialisation.replace("-", " + ")


def _ensemble_name(members: Sequence[str], config: Config) -> str:
    """Return an ensemble as people read it; more than two machines are counted, main.csv names each."""
    machines = [MACHINES[member] for member in members if member in MACHINES]
    if len(machines) <= 2:
        return f"together: {'; '.join(start_name(member, config) for member in members)}"
    others = [start_name(member, config) for member in members if member not in MACHINES]
    alike = all(machine.normalise == "speaker" for machine in machines)
    named = f"{len(machines)} SVMs{', speaker-normalised' if alike else ''}"
    return f"together: {'; '.join([*others, named])}"


def _machine_name(machine: Machine, config: Config) -> str:
    functionals = f"{FEATURE_SETS[config.functionals.feature_set]} functionals"
    vectors = functionals if machine.vectors == "functionals" else "frame statistics"
    kernel = "linear" if machine.kernel == "linear" else "RBF"
    return f"{vectors} + {kernel} SVM{', speaker-normalised' if machine.normalise == 'speaker' else ''}"


def with_interval(row: dict[str, Any], name: str, sign: bool = False) -> str:
    """Return a score with its interval, such as `0.612 [0.540, 0.684]`; nothing where there is none."""
    if row.get(name) is None:
        return ""
    low, high = (decimal(row.get(f"{name}_{end}"), 3, sign) for end in ("low", "high"))
    value = decimal(row[name], 3, sign)
    return _minus(f"{value} [{low}, {high}]" if low and high else value)


def _minus(text: str) -> str:
    """Set minus signs, which are as wide as plus signs, for hyphens."""
    return text.replace("-", "−")


def caption(one: Evaluated, rows: Rows, protocol: Protocol | None, config: Config) -> str:
    """Return on what a table was made, with what a reader must not miss; a synthetic corpus is called so."""
    row = rows[0]
    said = ["Synthetic demo corpus, not real speech."] if config.corpora[one.corpus].synthetic else []
    said.append(f"{one.heading}: {row['clips']:,} test clips of {row['speakers']:,} speakers, {row['runs']} runs.")
    return " ".join([*said, *(protocol.warnings if protocol else [])])


def notes(config: Config, shown: list[Evaluated]) -> list[str]:
    """Return what the reader of all main tables must know, in sentences."""
    if not config.used_for("finetune"):
        return ["No corpus is used for fine-tuning, so there is nothing to score: add one with `use: [finetune]`."]
    baselines = [
        "Support vector machines, DeepEmoCluster and ensembles are no initialisations: they are compared with scratch"
        " too, but corrected as a family of their own."
    ]
    return [
        *score_notes(config),
        "p: paired test against scratch by exchanging the two systems' predictions of whole speakers; Holm: corrected"
        " for the number of initialisations compared.",
        *(baselines if config.baseline.normalise else []),
        *dict.fromkeys(one.scoring.note for one in shown),
        "Intervals and tests of every measure are in main.csv.",
    ]


def score_notes(config: Config) -> list[str]:
    """Return what pre-training heard, and how scores, intervals and spread came about, in sentences."""
    heard = [
        f"Pre-training heard the speech of {corpus}, without its labels, that of the test speakers too."
        for corpus in config.heard_in_pretraining()
    ]
    return [
        *heard,
        f"Scores are on all test clips together, seed by seed, averaged over the seeds; brackets:"
        f" {100 * config.evaluate.level:g} % interval by bootstrap over speakers ({config.evaluate.bootstrap}"
        " resamples).",
        "mean ± std: over the runs (fold and seed), each scored by itself.",
    ]


def reach(speakers: int, comparisons: int, permutations: int = sys.maxsize) -> str:
    """Say so, as a sentence, when no difference, however large, could be significant; else nothing."""
    smallest = comparisons * statistics.smallest_p(speakers, permutations)
    if smallest < 0.05:
        return ""
    exact = statistics.is_exact(speakers, permutations)
    cure = "only more speakers can tell" if exact else "raise evaluate.permutations"
    return (
        f"With {speakers} test speakers and {comparisons} comparisons the corrected p cannot fall below"
        f" {min(smallest, 1.0):.3f}, whatever the scores: {cure}."
    )


def main_markdown(config: Config, layout: Layout) -> str:
    """Return the main tables as Markdown: a section per corpus and setting."""
    shown = evaluated(config, layout)
    parts = ["# Results\n"]
    for one in shown:
        rows, protocol = main_rows(one, layout), protocol_of(one.corpus, one.setting, layout)
        parts.append(f"## {one.heading}\n\n{caption(one, rows, protocol, config)}\n")
        cells = [printed(row, one.scoring, config) for row in rows]
        parts.append(formats.markdown(header(one.scoring), cells, numbers=1))
        if protocol and protocol.notes:
            parts.append(listed(protocol.notes))
    parts.append(f"## Notes\n\n{listed(notes(config, shown))}" if shown else listed(notes(config, shown)))
    return "\n".join(parts)


def listed(sentences: list[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences) + "\n"


def main_latex(config: Config, layout: Layout) -> str:
    """Return the main tables as LaTeX: a table per corpus and setting; needs the package booktabs."""
    shown = evaluated(config, layout)
    parts = []
    for one in shown:
        rows, protocol = main_rows(one, layout), protocol_of(one.corpus, one.setting, layout)
        text = " ".join([caption(one, rows, protocol, config), *(protocol.notes if protocol else [])])
        cells = [printed(row, one.scoring, config) for row in rows]
        parts.append(formats.latex(header(one.scoring), cells, 1, text, f"main-{one.corpus}-{one.setting.name}"))
    parts.append("\n".join(f"% {note}" for note in notes(config, shown)) + "\n")
    return "\n".join(parts)

"""The main table as people read it: a section per corpus and setting, as Markdown and LaTeX."""

from collections.abc import Mapping, Sequence
from typing import Any

from avpretext.config import Config
from avpretext.evaluation import label_counts, published_results
from avpretext.evaluation.fold_table import protocol_of
from avpretext.evaluation.formats import Document, Section, Table, decimal, probability
from avpretext.evaluation.kinds import MEASURE_NAMES, Scoring
from avpretext.evaluation.open_run import Evaluated, OpenRun, Rows
from avpretext.evaluation.results import main_rows, per_class_rows
from avpretext.systems import DEEPEMOCLUSTER, DISCRIMINANT, SCRATCH, TOGETHER, Machine, machine_of

SIGNIFICANT = 0.05
"""A corrected p below this is called significant."""

FEATURE_SETS = {"ComParE_2016": "ComParE", "eGeMAPSv02": "eGeMAPS"}
"""openSMILE's feature sets as papers call them."""


ZNORM = ", speaker z-norm"
"""Ending of the name of a machine whose vectors are normalised by speaker."""


def header(scoring: Scoring) -> tuple[str, ...]:
    """Return the header of the printed main table."""
    others = (MEASURE_NAMES[measure] for measure in scoring.shown)
    spreads = ("mean ± std", "± trainings")
    return ("Initialisation", scoring.main_name, "difference to scratch", "p (Holm)", *spreads, *others)


def printed(row: dict[str, Any], scoring: Scoring, config: Config) -> list[str]:
    """Return the cells of `header` for a row of the main table."""
    main = scoring.main
    return [
        start_name(row["initialisation"], config),
        with_interval(row, main),
        with_interval(row, f"{main}_difference", sign=True),
        probability(row.get(f"{main}_p_holm")),
        spread(row, main),
        number(row.get(f"{main}_seed_std")),
        *(number(row.get(measure)) for measure in scoring.shown),
    ]


def is_sure(row: Mapping[str, Any], p: str = "p_holm") -> bool:
    """Tell whether a difference is significant by its corrected p; it is not where there is none."""
    return row.get(p) is not None and row[p] < SIGNIFICANT


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
    if machine := machine_of(initialisation):
        return _machine_name(machine, config)
    return initialisation.replace("-", " + ")


def _ensemble_name(members: Sequence[str], config: Config) -> str:
    """Return an ensemble as people read it; more than two machines are counted, main.csv names each."""
    machines = [machine for member in members if (machine := machine_of(member))]
    if len(machines) <= 2:
        return f"together: {'; '.join(start_name(member, config) for member in members)}"
    others = [start_name(member, config) for member in members if machine_of(member) is None]
    alike = all(machine.normalise == "speaker" for machine in machines)
    discriminants = sum(machine.learner == DISCRIMINANT for machine in machines)
    counted = {"SVMs": len(machines) - discriminants, "LDAs": discriminants}
    named = " and ".join(f"{count} {kind}" for kind, count in counted.items() if count)
    named += ZNORM if alike else ""
    return f"together: {'; '.join([*others, named])}"


def _machine_name(machine: Machine, config: Config) -> str:
    named = {"functionals": FEATURE_SETS[config.functionals.feature_set], "statistics": "frame statistics"}
    vectors = named.get(machine.vectors, f"{machine.vectors} means")
    learner = {"linear": "SVM", "rbf": "RBF SVM", DISCRIMINANT: "LDA"}[machine.learner]
    return f"{vectors} + {learner}{ZNORM if machine.normalise == 'speaker' else ''}"


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


def caption(one: Evaluated, rows: Rows, config: Config) -> str:
    """Return on what a table was made; a synthetic corpus is called so."""
    row = rows[0]
    said = "Synthetic demo corpus, not real speech. " if config.corpora[one.corpus].synthetic else ""
    return f"{said}{one.heading}: {row['clips']:,} test clips of {row['speakers']:,} speakers, {row['runs']} runs."


def coverage(rows: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Return what intervals and p cover, and of which systems they do not, as sentences.

    Of each system there are its name and its row, with `initialisation`, `speakers`, `seeds`, `pretrainings`.
    """
    drawn = [(name, row) for name, row in rows if machine_of(row["initialisation"]) is None]
    single = [name for name, row in drawn if row["seeds"] == 1]
    shared = [name for name, row in drawn if row["pretrainings"] == 1 and row["seeds"] > 1]
    several = max((row["pretrainings"] or 0 for _, row in drawn), default=0)
    if len(single) == len(drawn):
        return "Intervals and p cover other test speakers alone: there is one training, whose luck is in none of them."
    trainings = (
        f"other trainings: {several} pre-trainings of each set of tasks" if several > 1 else "other fine-tunings"
    )
    said = [f"Intervals and p cover other test speakers and {trainings}."]
    if all(row.get("speakers") == 1 for _, row in rows):
        said = ["One test speaker tells nothing of others: there are no intervals and no p."]
    if shared:
        said.append(f"One pre-training: {'; '.join(shared)}. Its luck is in no interval and no p.")
    if single:
        said.append(f"One training: {'; '.join(single)}. Its luck is in no interval and no p.")
    return " ".join(said)


def headline(rows: Rows, scoring: Scoring, config: Config) -> str:
    """Return the result in sentences that claim no more than the corrected test allows."""
    said = _pretext_headline(rows, scoring.main, scoring.main_name, config)
    baselines = [row for row in rows if row["baseline"] and row.get(scoring.main) is not None]
    if baselines:
        best = max(baselines, key=lambda row: float(row[scoring.main]))
        name = start_name(best["initialisation"], config)
        said += f" Without any network, {name} reaches {with_interval(best, scoring.main)}."
    return said


def _pretext_headline(rows: Rows, main: str, measure: str, config: Config) -> str:
    """Return what the pretext tasks are worth by the main measure."""
    scratch = next((row for row in rows if row["initialisation"] == SCRATCH), None)
    others = [row for row in rows if not row["baseline"] and row.get(f"{main}_difference") is not None]
    if scratch is None or scratch.get(main) is None or not others:
        return "There is nothing to compare: one of training from scratch and pre-training is missing."
    best = max(others, key=lambda row: float(row[main]))
    name, reached = start_name(best["initialisation"], config), with_interval(best, main)
    sets = f"{len(others)} set{'s' if len(others) != 1 else ''} of pretext tasks"
    started = f"From scratch, {measure} is {with_interval(scratch, main)}"
    if best[f"{main}_difference"] <= 0:
        return f"{started}; none of the {sets} scores higher. The nearest, {name}, reaches {reached}."
    corrected = best[f"{main}_p_holm"]
    judged = "not tested" if corrected is None else "significant" if corrected < SIGNIFICANT else "not significant"
    return (
        f"{started}. Of {sets}, {name} comes out highest, at {reached}, a difference of"
        f" {with_interval(best, f'{main}_difference', sign=True)}. Corrected for the number of comparisons it is"
        f" {judged} at the 5 % level (Holm p = {probability(corrected)}; uncorrected {probability(best[f'{main}_p'])})."
    )


def notes(run: OpenRun, shown: list[Evaluated]) -> list[str]:
    """Return what the reader of all main tables must know, in sentences."""
    config = run.config
    if not config.used_for("finetune"):
        return ["No corpus is used for fine-tuning, so there is nothing to score: add one with `use: [finetune]`."]
    baselines = [
        "Systems without the network: SVM, a support vector machine, linear unless RBF is named; LDA, a linear"
        " discriminant; ComParE and eGeMAPS, openSMILE's functionals of a clip; speaker z-norm, features normalised by"
        " each speaker's mean and deviation. They, DeepEmoCluster and ensembles are compared with scratch too, and"
        " corrected as a family of their own."
    ]
    return [
        *label_counts.one_class(run),
        *score_notes(config),
        "p (Holm): paired test against scratch, corrected for the number of initialisations compared. The interval of a"
        " difference is not corrected: of many that clear zero, some do by chance.",
        *(baselines if config.baseline.normalise else []),
        *dict.fromkeys(one.scoring.note for one in shown),
        "Intervals and tests of every measure are in main.csv, the scores of each seed in seeds.csv.",
    ]


def _heard(config: Config, corpus: str) -> str:
    """Return what pre-training heard of a corpus that is tested: all its speakers, or those that are named."""
    path = config.corpora[corpus].path
    heard = [config.corpora[name] for name in config.heard_for_pretraining()]
    named = [one.speakers for one in heard if one.path == path]
    if config.corpora[corpus].speakers is None and all(named):
        number = len({speaker for speakers in named for speaker in speakers or ()})
        return f"Pre-training heard the speech of {number} speakers of {corpus} that are named, without its labels."
    return f"Pre-training heard the speech of {corpus}, without its labels, that of the test speakers too."


def score_notes(config: Config) -> list[str]:
    """Return what pre-training heard, and how scores, intervals and spread came about, in sentences."""
    return [
        *(_heard(config, corpus) for corpus in config.heard_in_pretraining()),
        f"Scores are on all test clips together, seed by seed, averaged over the seeds; brackets:"
        f" {100 * config.evaluate.level:g} % interval by Student's t, over speakers ({config.evaluate.bootstrap}"
        " resamples) and trainings, with the standard error of Obuchowski and Rockette (1995) and degrees of freedom"
        " after Hillis (2007).",
        "mean ± std: over the runs (fold and seed), each scored by itself. ± trainings: standard deviation, over the"
        " pre-trainings (from scratch: over the seeds), of the score on all test clips.",
    ]


def document(run: OpenRun) -> Document:
    """Return the main tables as they are printed: a section per corpus and setting."""
    shown = run.evaluated()
    return Document("Results", [_section(run, one) for one in shown], notes(run, shown))


def _section(run: OpenRun, one: Evaluated) -> Section:
    rows, protocol, config = main_rows(run, one), protocol_of(run, one), run.config
    cells = [printed(row, one.scoring, config) for row in rows]
    return Section(
        heading=one.heading,
        caption=" ".join([caption(one, rows, config), *protocol.warnings, coverage(named(rows, config))]),
        headline=[headline(rows, one.scoring, config)],
        tables=[
            Table(header(one.scoring), cells, 1, f"main-{one.corpus}-{one.setting.name}"),
            *_of_each_attribute(run, one),
            *published_results.table(run, one, rows),
        ],
        notes=protocol.notes,
    )


def _of_each_attribute(run: OpenRun, one: Evaluated) -> list[Table]:
    """Return a table of the main measure of each attribute, where several are learnt together."""
    if one.setting.kind != "attributes":
        return []
    found: dict[str, dict[str, str]] = {}
    for row in per_class_rows(run, one):
        name = start_name(row["initialisation"], run.config)
        found.setdefault(name, {})[row["class"]] = with_interval(row, one.scoring.main)
    attributes = sorted({name for cells in found.values() for name in cells})
    rows = [[start, *(cells.get(name, "") for name in attributes)] for start, cells in found.items()]
    said = f"{one.scoring.main_name} of each attribute; other measures are in per_class.csv."
    return [Table(("Initialisation", *attributes), rows, 1, f"attributes-{one.corpus}-{one.setting.name}", said, said)]


def named(rows: Rows, config: Config) -> list[tuple[str, dict[str, Any]]]:
    """Return the rows of the main table with their systems' names."""
    return [(start_name(row["initialisation"], config), row) for row in rows]

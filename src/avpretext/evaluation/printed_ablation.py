"""The ablation as people read it: sentences, and per setting a table of effects and one of systems."""

from collections.abc import Sequence
from typing import Any

from avpretext.config import Config
from avpretext.evaluation import printed
from avpretext.evaluation.ablated import FACTORS, GAIN, UPSTREAM_FACTORS, Ablated
from avpretext.evaluation.fold_table import protocol_of
from avpretext.evaluation.formats import Document, Section, Table, probability
from avpretext.evaluation.kinds import LESS_IS_BETTER, MEASURE_NAMES
from avpretext.evaluation.open_run import OpenRun
from avpretext.evaluation.printed import is_sure, with_interval

EFFECT_HEADER = ("Factor", "Level", "mean of its systems", "difference to the first level", "p", "p (Holm)", "systems")

_WORDS = {"rnn_attention": "RNN attention", "self_attention": "self-attention"}


def level_name(level: str, config: Config, factor: str = "") -> str:
    """Return an initialisation, a loss or an aggregator as people read it; an upstream has the user's name."""
    if factor in ("upstream", GAIN):
        return level
    return _WORDS.get(level) or printed.start_name(level, config)


def system_name(row: dict[str, Any], config: Config) -> str:
    """Return a row's system as people read it: `energy + emotion, penalty, gated`; a baseline by its name."""
    factors = dict.fromkeys((*UPSTREAM_FACTORS, *FACTORS))
    return ", ".join(level_name(row[factor], config, factor) for factor in factors if row.get(factor))


def shown_measures(found: Ablated) -> list[str]:
    """Return the measures that the printed table gives beside the tested one."""
    scoring = found.one.scoring
    return [name for name in (scoring.main, *scoring.shown) if name != found.measure]


def header(found: Ablated) -> tuple[str, ...]:
    """Return the header of the table of systems."""
    factors = (factor.capitalize() for factor in FACTORS)
    others = (MEASURE_NAMES[name] for name in shown_measures(found))
    compared = ("difference to reference", "p", "p (Holm)")
    return (*factors, MEASURE_NAMES[found.measure], "mean ± std", *compared, *others)


def cells(row: dict[str, Any], found: Ablated, config: Config) -> list[str]:
    """Return the cells of `header` for a system."""
    return [
        *(level_name(row[factor], config) for factor in FACTORS),
        with_interval(row, found.measure),
        printed.spread(row, found.measure),
        "reference" if row["role"] == "reference" else with_interval(row, "difference", sign=True),
        probability(row.get("p")),
        probability(row.get("p_holm")),
        *(printed.number(row.get(name)) for name in shown_measures(found)),
    ]


def effect_cells(row: dict[str, Any], config: Config) -> list[str]:
    """Return the cells of `EFFECT_HEADER` for a level of a factor."""
    of_tasks = f" from {level_name(row['initialisation'], config)}" if row["factor"] == GAIN else ""
    return [
        row["factor"] + of_tasks,
        level_name(row["level"], config, row["factor"]),
        with_interval(row, "value", sign=row["factor"] == GAIN),
        "first level" if row["level"] == row["against"] else with_interval(row, "difference", sign=True),
        probability(row.get("p")),
        probability(row.get("p_holm")),
        str(row["systems"]),
    ]


def headline(found: Ablated, config: Config) -> list[str]:
    """Return what came out, in sentences that claim no more than the tests allow."""
    return [*_about_factors(found, config), *_about_systems(found, config)]


def _about_factors(found: Ablated, config: Config) -> list[str]:
    compared = [row for row in found.effects if row.get("p_holm") is not None]
    if not compared:
        return []
    plain = [row for row in compared if is_sure(row)]
    corrected = f"corrected for {counted(len(compared), 'comparison')} (Holm)"
    said = [f"No level of a factor differs significantly from the first, averaged over all else and {corrected}."]
    if plain:
        listed = "; ".join(
            f"{level_name(row['level'], config)} against {level_name(row['against'], config)}"
            f" {with_interval(row, 'difference', sign=True)}, p = {probability(row['p_holm'])}"
            for row in plain
        )
        said = [
            f"Averaged over all else and {corrected}, these levels change {MEASURE_NAMES[found.measure]}: {listed}."
        ]
    return said


def _about_systems(found: Ablated, config: Config) -> list[str]:
    """Say what the reference reaches, and the best of the others, by its difference."""
    reference, main = found.reference, found.measure
    said = f"The reference ({system_name(reference, config)}) has a {MEASURE_NAMES[main]} of"
    said = f"{said} {with_interval(reference, main)}"
    others = [row for row in found.systems if row["role"] == "system" and row.get("p_holm") is not None]
    if not others:
        return [f"{said}; there is no other system to compare it with."]
    sign = -1 if main in LESS_IS_BETTER else 1
    best = max(others, key=lambda row: sign * float(row["difference"]))
    if sign * best["difference"] <= 0:
        return [f"{said}; none of the {counted(len(others), 'other system')} is better."]
    judged = "significant" if is_sure(best) else "not significant"
    return [
        f"{said}. Of {counted(len(others), 'other system')}, {system_name(best, config)} is best, at"
        f" {with_interval(best, main)}, a difference of {with_interval(best, 'difference', sign=True)}: {judged} at the"
        f" 5 % level (Holm p = {probability(best['p_holm'])}; uncorrected {probability(best['p'])}). The best of many"
        " is partly the luckiest: on new speakers, expect less.",
    ]


def counted(number: int, what: str) -> str:
    """Return a number of things, such as `1 comparison`, `8 comparisons`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def effect_caption(found: Ablated) -> str:
    """Return how the effects are to be read."""
    return (
        f"What each factor does to {MEASURE_NAMES[found.measure]}: the mean over all systems with a level, and its"
        " difference to the first level of the factor, over partners that are alike in all else."
        + (" Less is better: a difference below zero is a gain." if found.measure in LESS_IS_BETTER else "")
    )


def system_caption(found: Ablated, config: Config, warnings: Sequence[str] = ()) -> str:
    """Return on what the table of systems was made."""
    systems = sum(row["role"] != "baseline" for row in found.systems)
    covered = printed.coverage([(system_name(row, config), row) for row in found.systems])
    said = " ".join([printed.caption(found.one, [found.reference], config), *warnings])
    return f"{said} {systems} systems, as many runs each. {covered}"


def notes(found: Sequence[Ablated], config: Config) -> list[str]:
    """Return what the reader of all tables must know, in sentences."""
    if not found:
        return ["No corpus is used for fine-tuning, so there is nothing to compare: add one with `use: [finetune]`."]
    return [
        *printed.score_notes(config),
        "p, systems: paired test against the reference; Holm: corrected for the number of systems in the setting.",
        "p, effects: the same test of the mean difference between all systems with one level and their partners with"
        " the first; Holm: corrected for the levels of all factors in the setting.",
        "What is no system of the grid stands below it, and is corrected as a family of its own.",
        *dict.fromkeys(one.one.scoring.note for one in found),
        "Every measure with its interval is in ablation.csv, the effects are in ablation_effects.csv.",
    ]


def document(found: Sequence[Ablated], run: OpenRun) -> Document:
    """Return the ablation as it is printed: per corpus and setting a table of effects and one of systems."""
    return Document("Ablation", [_section(one, run) for one in found], notes(found, run.config))


def _section(found: Ablated, run: OpenRun) -> Section:
    systems = [cells(row, found, run.config) for row in found.systems]
    tables = [
        *effect_tables(found, run.config, "ablation", effect_caption(found)),
        Table(header(found), systems, len(FACTORS), label_of(found, "ablation"), "Every system."),
    ]
    protocol = protocol_of(run, found.one)
    caption = system_caption(found, run.config, protocol.warnings)
    return Section(found.one.heading, caption, headline(found, run.config), tables, protocol.notes)


def label_of(found: Ablated, subject: str) -> str:
    """Return the LaTeX label of a table of one setting."""
    return f"{subject}-{found.one.corpus}-{found.one.setting.name}"


def effect_tables(found: Ablated, config: Config, subject: str, caption: str) -> list[Table]:
    """Return the table of effects; none where no factor has several levels."""
    effects = [effect_cells(row, config) for row in found.effects]
    label = label_of(found, f"{subject}-effects")
    return [Table(EFFECT_HEADER, effects, 2, label, caption, caption)] if effects else []

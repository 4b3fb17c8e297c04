"""The comparison of upstreams as people read it: sentences, and per setting a table of systems and one of effects."""

from collections.abc import Sequence
from typing import Any

from avpretext.config import Config
from avpretext.evaluation import printed
from avpretext.evaluation.ablated import GAIN, UPSTREAM_FACTORS, Ablated
from avpretext.evaluation.fold_table import protocol_of
from avpretext.evaluation.formats import Document, Section, Table, probability
from avpretext.evaluation.kinds import LESS_IS_BETTER, MEASURE_NAMES
from avpretext.evaluation.open_run import OpenRun, Rows
from avpretext.evaluation.printed import is_sure, with_interval
from avpretext.evaluation.printed_ablation import (
    counted,
    effect_tables,
    label_of,
    level_name,
    shown_measures,
    system_caption,
)
from avpretext.systems import SCRATCH


def header(found: Ablated) -> tuple[str, ...]:
    """Return the header of the table of systems."""
    measures = (MEASURE_NAMES[name] for name in measures_of(found))
    tested = ("gain over the upstream alone", "p (Holm)", f"difference to {found.reference['upstream']} alone")
    return (*(factor.capitalize() for factor in UPSTREAM_FACTORS), *measures, *tested, "p (Holm)")


def measures_of(found: Ablated) -> list[str]:
    """Return the measures that the printed table gives: the tested one and another."""
    return [found.measure, *shown_measures(found)[:1]]


def cells(row: dict[str, Any], found: Ablated, config: Config) -> list[str]:
    """Return the cells of `header` for a system."""
    alone = "alone" if row["initialisation"] == SCRATCH else ""
    return [
        *(level_name(row[factor], config, factor) for factor in UPSTREAM_FACTORS),
        *(with_interval(row, name) for name in measures_of(found)),
        alone or with_interval(row, "gain", sign=True),
        probability(row.get("gain_p_holm")),
        "reference" if row["role"] == "reference" else with_interval(row, "difference", sign=True),
        probability(row.get("p_holm")),
    ]


def headline(found: Ablated, config: Config) -> list[str]:
    """Return what came out, in sentences that claim no more than the tests allow."""
    return [*_about_gains(found, config), *_about_gaps(found, config), _about_upstreams(found)]


def _systems(found: Ablated) -> Rows:
    return [row for row in found.systems if row["role"] != "baseline"]


def _judged(row: dict[str, Any], p: str, p_holm: str) -> str:
    """Say whether a difference is significant, with both p; there is none of one test speaker."""
    if row.get(p_holm) is None:
        return "not tested"
    said = "significant" if is_sure(row, p_holm) else "not significant"
    return f"{said} (Holm p = {probability(row.get(p_holm))}; uncorrected {probability(row.get(p))})"


def _about_upstreams(found: Ablated) -> str:
    """Say what each upstream reaches from scratch, beside the first."""
    reference, measure = found.reference, MEASURE_NAMES[found.measure]
    said = [f"{reference['upstream']} alone has a {measure} of {with_interval(reference, found.measure)}."]
    for row in _systems(found):
        if row["initialisation"] != SCRATCH or row is reference:
            continue
        if "difference" not in row:
            said.append(f"{row['upstream']} alone is trained as an upstream before it.")
        else:
            said.append(
                f"{row['upstream']} alone: {with_interval(row, found.measure)}, a difference of"
                f" {with_interval(row, 'difference', sign=True)}: {_judged(row, 'p', 'p_holm')}."
            )
    return " ".join(said)


def _about_gains(found: Ablated, config: Config) -> list[str]:
    """Say which upstream gains from which tasks, first over all of them, then the best of each."""
    gains = [row for row in _systems(found) if row.get("gain") is not None]
    tested = [row for row in gains if row.get("gain_p_holm") is not None]
    if not gains:
        return ["No upstream has a set of pretext tasks to compare with it alone."]
    corrected = f"corrected for {counted(len(tested), 'comparison')} (Holm)"
    sure = [row for row in tested if is_sure(row, "gain_p_holm")]
    said = [
        f"No set of pretext tasks changes the {MEASURE_NAMES[found.measure]} of an upstream significantly, {corrected}."
    ]
    if sure:
        listed = "; ".join(
            f"{row['upstream']} {'gains from' if _better(row, found) else 'loses by'}"
            f" {level_name(row['initialisation'], config)}, {with_interval(row, 'gain', sign=True)},"
            f" p = {probability(row['gain_p_holm'])}"
            for row in sure
        )
        said = [f"Significant changes of {MEASURE_NAMES[found.measure]}, {corrected}: {listed}."]
    if not tested:
        said = ["No gain can be tested."]
    upstreams = dict.fromkeys(row["upstream"] for row in gains)
    best = [_best_of(name, [row for row in gains if row["upstream"] == name], found, config) for name in upstreams]
    return [*said, " ".join([*best, "The best of several sets is partly the luckiest: on new speakers, expect less."])]


def _better(row: dict[str, Any], found: Ablated) -> bool:
    return bool(_signed(row, found) > 0)


def _signed(row: dict[str, Any], found: Ablated) -> float:
    """Return a gain, negative where the system is worse."""
    return (-1 if found.measure in LESS_IS_BETTER else 1) * float(row["gain"])


def _best_of(upstream: str, rows: Rows, found: Ablated, config: Config) -> str:
    best = max(rows, key=lambda row: _signed(row, found))
    if not _better(best, found):
        return f"{upstream}: none of {counted(len(rows), 'set')} of tasks is better than {upstream} alone."
    return (
        f"{upstream}: the best of {counted(len(rows), 'set')} of tasks is {level_name(best['initialisation'], config)},"
        f" {with_interval(best, 'gain', sign=True)}: {_judged(best, 'gain_p', 'gain_p_holm')}."
    )


def _about_gaps(found: Ablated, config: Config) -> list[str]:
    """Say whether tasks teach one upstream more than the first."""
    gaps = [row for row in found.effects if row["factor"] == GAIN and row.get("p_holm") is not None]
    if not gaps:
        return []
    corrected = f"corrected for {counted(len(gaps), 'comparison')} (Holm)"
    listed = "; ".join(
        f"{level_name(row['initialisation'], config)} on {row['level']} {with_interval(row, 'difference', sign=True)},"
        f" p = {probability(row['p_holm'])}"
        for row in gaps
        if is_sure(row)
    )
    first = found.reference["upstream"]
    if listed:
        return [f"Beside the same gain on {first}, these gains differ significantly, {corrected}: {listed}."]
    return [f"No gain differs significantly from the same gain on {first}, {corrected}."]


def caption(found: Ablated, config: Config, warnings: Sequence[str] = ()) -> str:
    """Return on what the table of systems was made."""
    said = system_caption(found, config, warnings)
    for upstream, starts in _absent(found).items():
        said += f" Not on {upstream}: {'; '.join(level_name(start, config) for start in starts)}."
    if found.left_out:
        said += f" {counted(found.left_out, 'test clip')} without the features of every upstream left out."
    return said


def _absent(found: Ablated) -> dict[str, list[str]]:
    """Return of each upstream the sets of tasks that others have: it is not trained on them, or cannot be."""
    rows = _systems(found)
    starts: dict[str, list[str]] = {}
    for row in rows:
        starts.setdefault(row["upstream"], []).append(row["initialisation"])
    known = dict.fromkeys(row["initialisation"] for row in rows)
    absent = {upstream: [start for start in known if start not in its] for upstream, its in starts.items()}
    return {upstream: missing for upstream, missing in absent.items() if missing}


def effect_caption(found: Ablated) -> str:
    """Return how the effects are to be read."""
    return (
        f"What upstreams and tasks do to {MEASURE_NAMES[found.measure]}: the mean over all systems with a level, and"
        " its difference to the first level over partners that are alike in all else. Gain: what a set of tasks adds to"
        f" an upstream, and how much more that is than on {found.reference['upstream']}."
        + (" Less is better: a difference below zero is a gain." if found.measure in LESS_IS_BETTER else "")
    )


def notes(found: Sequence[Ablated], config: Config) -> list[str]:
    """Return what the reader of all tables must know, in sentences."""
    if not found:
        return ["No corpus is used for fine-tuning, so there is nothing to compare: add one with `use: [finetune]`."]
    beside = any(row["role"] == "baseline" for one in found for row in one.systems)
    return [
        *printed.score_notes(config),
        "Alone: fine-tuned from scratch on the features of the upstream. Gain: the difference to it, with a paired"
        " test; Holm: corrected for all gains of the setting.",
        "Difference: the same test of the other upstreams against the first alone, corrected for their systems."
        " Effects: corrected for the levels of both factors; differences of gains for their own number.",
        *(["Baselines stand below the upstreams, and are corrected as a family of their own."] if beside else []),
        "Upstreams share all options but those that the configuration names for them; none is tuned for an upstream.",
        *dict.fromkeys(one.one.scoring.note for one in found),
        "Every measure with its interval is in upstreams.csv, the effects are in upstreams_effects.csv.",
    ]


def document(found: Sequence[Ablated], run: OpenRun) -> Document:
    """Return the comparison as it is printed: per corpus and setting a table of systems and one of effects."""
    return Document("Upstreams", [_section(one, run) for one in found], notes(found, run.config))


def _section(found: Ablated, run: OpenRun) -> Section:
    systems = [cells(row, found, run.config) for row in found.systems]
    tables = [
        Table(header(found), systems, len(UPSTREAM_FACTORS), label_of(found, "upstreams")),
        *effect_tables(found, run.config, "upstreams", effect_caption(found)),
    ]
    protocol = protocol_of(run, found.one)
    said = caption(found, run.config, protocol.warnings)
    return Section(found.one.heading, said, headline(found, run.config), tables, protocol.notes)

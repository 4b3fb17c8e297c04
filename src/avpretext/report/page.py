"""The stage `report`: one self-contained HTML page of what was run, on what, and what came of it."""

from dataclasses import replace
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from avpretext import __version__
from avpretext.config import TASKS, Config
from avpretext.evaluation import formats, printed, results, summaries
from avpretext.paths import Layout
from avpretext.progress import duration
from avpretext.report import contents, faces, figures, sample
from avpretext.shards import PathLike

_REFUSED_SHOWN = 200
"""So many refused clips are listed on the page; the table beside it lists all."""


def run(config: Config, output: PathLike) -> None:
    """Write the report.

    The same results give the same bytes, but for the section on time and memory, which the machine decides.

    Parameters
    ----------
    config
        The whole configuration; what it names is read below its results folder, what is missing is left out.
    output
        The HTML file.
    """
    formats.write_text(output, render(config, Layout(config.results)))


def render(config: Config, layout: Layout) -> str:
    """Return the page as text, with people's faces or without."""
    return environment().get_template("report.html").render(facts(config, layout))


def environment() -> Environment:
    """Return what fills in the templates of the pages: text is escaped, a missing value is an error."""
    filling = Environment(
        loader=PackageLoader("avpretext.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filling.filters |= {"decimal": formats.decimal, "duration": duration}
    return filling


def facts(config: Config, layout: Layout) -> dict[str, Any]:
    """Return everything that the template speaks of."""
    corpora = summaries.corpora_rows(config, layout)
    clip = sample.load(config, layout)
    if clip is not None and not config.report.pictures:
        clip = replace(clip, frames=[])
    units, together = (contents.read_table(layout.table(f"{name}.csv")) for name in ("action_units", "au_combinations"))
    return {
        "version": __version__,
        "synthetic": synthetic_sentence(config),
        "demo": any(corpus.synthetic for corpus in config.corpora.values()),
        "corpora": corpora,
        "totals": {key: sum(row[key] for row in corpora) for key in ("clips", "speakers", "hours", "refused")},
        "refused": summaries.rejects_rows(config, layout),
        "refused_clips": summaries.rejects_of(config, layout).head(_REFUSED_SHOWN).to_dicts(),
        "results": contents.found_results(config, layout),
        "notes": printed.notes(config, results.evaluated(config, layout)),
        "level": f"{100 * config.evaluate.level:g} %",
        "tasks": TASKS,
        "pretrain": contents.pretrain_charts(config, layout),
        "balance": contents.balance_charts(config, layout),
        "faces": faces.found_faces(config, layout, units, together, config.report.pictures),
        "unit_names": faces.NAMES,
        "sample": clip,
        "traces": None if clip is None else figures.traces(clip, "sample-traces"),
        "truth": contents.read_table(layout.table("truth.csv")),
        "truth_units": contents.truth_chart(contents.read_table(layout.table("truth_action_units.csv"))),
        "compared": contents.compared_charts(
            contents.read_table(layout.table("compared_action_units.csv")), config.report.compare_action_units or ""
        ),
        "benchmarks": contents.benchmark_rows(layout),
        "provenance": summaries.provenance_rows(config, layout),
    }


def synthetic_sentence(config: Config) -> str | None:
    """Return what the page must say first when it speaks of made-up data; None when it does not."""
    names = [name for name, corpus in config.corpora.items() if corpus.synthetic]
    if not names:
        return None
    speaks = "all of its corpora are" if len(names) == len(config.corpora) else f"{' and '.join(names)} are"
    return (
        f"This report speaks of the demo: {speaks} synthetic, voices and faces made by a program, so its scores say"
        " nothing about real speech."
    )

"""The stage `report`: one self-contained HTML page of what was run, on what, and what came of it."""

import re
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from avpretext import __version__
from avpretext.config import Config
from avpretext.corpora import silent
from avpretext.evaluation import formats, label_counts, label_warnings, printed, printed_search, summaries
from avpretext.evaluation.open_run import OpenRun
from avpretext.flow.paths import Layout
from avpretext.flow.tasks import TASKS
from avpretext.progress import duration
from avpretext.report import (
    au_faces,
    chosen_clips,
    clip_panels,
    contents,
    distribution_charts,
    distributions,
    explorer,
    first_screen,
    gains,
    glossary,
    label_page,
    overall_page,
    search_page,
    trust_page,
)
from avpretext.report.clip import SURE

_HOURS = {"Speech": True, "Video alone": False}
"""Title of a tile to whether the corpora whose hours it counts are heard."""

_REFUSED_SHOWN = 200
"""So many refused clips are listed on the page; the table beside it lists all."""


def run(config: Config, output: Path) -> None:
    """Write the report; what is missing of the results is left out.

    The same results give the same bytes. Time and memory, which the machine decides, go into `time.csv` beside it: as
    Snakemake measured the jobs, all of a stage together, the longest one, and the highest memory of any.

    Parameters
    ----------
    output
        The HTML file.
    """
    formats.write_text(output, render(config))
    measured = contents.benchmark_rows(Layout.of_run(config.results))
    formats.write_csv(output.with_name("time.csv"), contents.MEASURED, measured, places=1)


def render(config: Config) -> str:
    """Return the page as text, with people's faces or without."""
    run = OpenRun(config)
    found = facts(run)
    return environment().get_template("report.html").render(found | first_facts(run, found))


def task_colours(page: int) -> Markup:
    """Return the colours of the pretext tasks as CSS variables: of the light page (0) or the dark one (1)."""
    return Markup(" ").join(Markup(f"--{name}: {task.colour[page]};") for name, task in TASKS.items())


def environment() -> Environment:
    """Return what fills in the templates of the pages: text is escaped, a missing value is an error."""
    filling = Environment(
        loader=PackageLoader("avpretext.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filling.filters |= {"decimal": formats.decimal, "duration": duration, "anchor": anchor}
    filling.globals |= {"script": script, "policy": policy, "task_colours": task_colours, "tasks": list(TASKS)}
    return filling


SCRIPTS = ("sort.js", "save.js", "fold.js", "explorer.js")
"""What runs within the pages, beside their templates; the pages are complete without it."""


@cache
def _source(name: str) -> str:
    return files("avpretext.report").joinpath("templates", name).read_text("utf-8")


def script(name: str) -> Markup:
    """Return one of `SCRIPTS` as an element to stand within a page."""
    return Markup(f"<script>{_source(name)}</script>\n")


def policy() -> str:
    """Return what a page may do: run `SCRIPTS` and nothing else, show pictures that it holds, load nothing."""
    hashes = (b64encode(sha256(_source(name).encode("utf-8")).digest()).decode("ascii") for name in SCRIPTS)
    allowed = " ".join(f"'sha256-{code}'" for code in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
        " form-action 'none'"
    )


def anchor(clip_id: str) -> str:
    """Return a clip_id as the explorer expects it in an address; what is no character becomes U+FFFD there too.

    >>> anchor("actor 1/ä#1")
    'actor%201/%C3%A4%231'
    """
    return quote(re.sub("[\ud800-\udfff]", "\ufffd", clip_id), safe="/")


def facts(run: OpenRun) -> dict[str, Any]:
    """Return what the page's template reads of a run, by name: corpora, totals, refused clips, charts, tables."""
    config, corpora = run.config, summaries.corpora_rows(run)
    other = config.report.compare_action_units or ""
    return {
        "version": __version__,
        "synthetic": synthetic_sentence(config),
        "demo": any(corpus.synthetic for corpus in config.corpora.values()),
        "corpora": corpora,
        "sound": summaries.sound_sentences(corpora),
        "silent": silent.sentences(config),
        "lacking": {name: silent.lacking(config, name) for name in config.corpora},
        "totals": {
            key: sum(row[key] for row in corpora) for key in ("clips", "speakers", "unknown_speakers", "refused")
        },
        "hours": {
            kind: sum(row["hours"] for row in corpora if row["audio"] == heard) for kind, heard in _HOURS.items()
        },
        "refused": summaries.rejects_rows(run),
        "refused_clips": run.refused.head(_REFUSED_SHOWN).to_dicts(),
        "overall": overall_page.found_overall(run),
        "results": contents.found_results(run),
        "search": search_page.found_search(run),
        "search_caveat": printed_search.CAVEAT,
        "trust": trust_page.found_trust(run),
        "notes": printed.notes(run, run.evaluated()),
        "level": f"{100 * config.evaluate.level:g} %",
        "pretrain": contents.pretrain_charts(run),
        "kept_epoch": config.pretrain.keep,
        "balance": contents.balance_charts(run),
        "thresholds": label_page.threshold_charts(run),
        "label_warnings": label_warnings.sentences(run.table("label_warnings")),
        "agreement": label_page.agreement_tables(run),
        "speakers": label_page.speaker_tables(run),
        **_clip_facts(run),
        "unit_names": au_faces.NAMES,
        "truth": run.table("truth"),
        "truth_confidence": run.table("truth_confidence"),
        "truth_units": contents.truth_chart(run.table("truth_action_units")),
        "compared": contents.compared_charts(run.table("compared_action_units"), other),
        "provenance": (provenance := summaries.provenance_rows(run)),
        "machines": summaries.machines(provenance),
    }


def first_facts(run: OpenRun, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the template shows before its sections, and the words it explains, from the facts of the sections."""
    kind, judged = first_screen.kind(found), found["overall"] or found["results"]
    return {
        "kind": kind,
        "sections": first_screen.sections(found),
        "verdicts": [
            (one["heading"], *gains.verdict(one["gains"], one["measure"])) for one in judged[: first_screen.VERDICTS]
        ],
        "one_class": label_counts.one_class(run),
        "more_verdicts": max(0, len(judged) - first_screen.VERDICTS),
        "helps": any(gain.sure for one in judged for gain in one["gains"]),
        "difference": first_screen.difference(found),
        "checks": first_screen.checks(run, found),
        "words": glossary.words(run, {**found, "kind": kind}),
        "sure_from": SURE,
    }


def _clip_facts(run: OpenRun) -> dict[str, Any]:
    """Return what the template shows of features and of single clips, and which clips can be looked up."""
    clip, shown = chosen_clips.closely(run), au_faces.found_faces(run)
    previews = clip.previews if clip is not None and run.config.report.pictures else []
    chosen = chosen_clips.choose(
        run, [*au_faces.pictured(shown), *([] if clip is None else [(clip.corpus, clip.clip_id)])]
    )
    features = distributions.feature_distributions(run)
    times = [frame.time_s for frame in previews]
    return {
        "features": distribution_charts.of_features(features),
        "faces": shown,
        "sample": clip,
        "previews": previews,
        "traces": None if clip is None else clip_panels.traces(clip, "sample-traces", times),
        "explorer": explorer.explore(run, chosen, distributions.fastest(features)),
        "linked": chosen.ids(),
    }


def synthetic_sentence(config: Config) -> str | None:
    """Return the first sentence of a page about synthetic data; None for real data."""
    names = [name for name, corpus in config.corpora.items() if corpus.synthetic]
    if not names:
        return None
    speaks = "all of its corpora are" if len(names) == len(config.corpora) else f"{' and '.join(names)} are"
    return (
        f"This report speaks of the demo: {speaks} synthetic, voices and faces made by a program, so its scores say"
        " nothing about real speech."
    )

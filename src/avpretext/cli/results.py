"""Commands of the stages from scores to tables and report."""

from pathlib import Path
from typing import Annotated

import typer

from avpretext.cli.base import (
    CONFIG,
    STAGE,
    ConfigFile,
    Name,
    OptionsText,
    Output,
    OutputFolder,
    app,
    config_of,
    corpus_options,
    named,
    stage_function,
    whole_config,
)


@app.command(rich_help_panel=STAGE)
def evaluate(
    predictions: Annotated[list[Path], typer.Option(help="Predictions of one initialisation; repeatable.")],
    output: OutputFolder,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Score predictions: metrics, intervals, paired tests against scratch."""
    settings = config_of(config, options)
    stage_function("evaluate")(predictions, settings.evaluate, settings.seed, output)


@app.command(rich_help_panel=STAGE)
def card(
    model: Annotated[Path, typer.Option(help="The exported model's model.json.")],
    metrics: Annotated[Path, typer.Option(help="Metrics of its setting, by evaluate.")],
    corpus: Name,
    output: OutputFolder,
    reader: Annotated[list[str] | None, typer.Option(help="CORPUS=READER of others learnt from; repeatable.")] = None,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Write what is to be known of an exported model: scores, intended use, limits, licences."""
    chosen = corpus_options(config_of(config, options), corpus)
    stage_function("card")(model, metrics, corpus, chosen, named(reader or [], "--reader"), output)


@app.command(rich_help_panel=STAGE)
def ablate(
    output: OutputFolder,
    page: Annotated[Path, typer.Option(help="HTML page to write.")],
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Compare initialisations, losses and aggregators: tables and a page."""
    settings = whole_config(config, options)
    stage_function("ablate")(settings, output)
    from avpretext.report import ablation_page

    ablation_page.run(settings, output, page)


@app.command(rich_help_panel=STAGE)
def tables(output: OutputFolder, config: ConfigFile = CONFIG, options: OptionsText = "") -> None:
    """Write the result tables: CSV, Markdown, LaTeX."""
    stage_function("tables")(whole_config(config, options), output)


@app.command(rich_help_panel=STAGE)
def report(output: Output, config: ConfigFile = CONFIG, options: OptionsText = "") -> None:
    """Write the report: one self-contained HTML page."""
    stage_function("report")(whole_config(config, options), output)

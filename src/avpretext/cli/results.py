"""Commands of the stages from label targets to tables and report."""

from pathlib import Path
from typing import Annotated

import typer

from avpretext.cli.base import (
    CONFIG,
    STAGE,
    ConfigFile,
    Files,
    Name,
    OptionsText,
    Output,
    OutputFolder,
    Shard,
    ShardSet,
    ShardSets,
    Threads,
    app,
    config_of,
    corpus_options,
    files_by_name,
    named,
    shards_by_name,
    stage_function,
    whole_config,
)
from avpretext.paths import expand


@app.command(rich_help_panel=STAGE)
def pretrain(
    tasks: Annotated[str, typer.Argument(help="Pretext tasks joined by -, e.g. energy-activation-emotion.")],
    speech: ShardSets,
    index: ShardSets,
    labels: Annotated[list[str], typer.Option(help="CORPUS.TASK=FILE, repeatable.")],
    output: OutputFolder,
    threads: Threads = 1,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Pre-train the speech encoder on a set of pretext tasks."""
    tables: dict[str, dict[str, Path]] = {}
    for name, file in named(labels, "--labels").items():
        corpus, _, task = name.rpartition(".")
        tables.setdefault(corpus, {})[task] = Path(file)
    stage_function("pretrain", threads)(
        tasks.split("-"),
        shards_by_name(speech, "--speech"),
        shards_by_name(index, "--index"),
        tables,
        config_of(config, options),
        output,
        threads,
    )


@app.command(rich_help_panel=STAGE)
def targets(
    target: Annotated[str, typer.Argument(help="Label target, e.g. acted, voice-distribution, arousal.")],
    corpus: Name,
    clips: ShardSet,
    output: Output,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Say what is to be learnt of each clip: a class, several, shares of them, or a number."""
    stage_function("targets")(corpus_options(config_of(config, options), corpus), target, expand(clips), output)


@app.command(rich_help_panel=STAGE)
def folds(
    setting: Annotated[str, typer.Argument(help="Name of target and protocol, e.g. voice.chou.")],
    corpus: Name,
    clips: ShardSets,
    targets: Files,
    audio: ShardSets,
    output: Output,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Divide the clips into train, dev and test by a protocol, and check that nothing leaks."""
    settings = config_of(config, options)
    stage_function("folds")(
        corpus,
        corpus_options(settings, corpus),
        setting,
        shards_by_name(clips, "--clips"),
        files_by_name(targets, "--targets"),
        shards_by_name(audio, "--audio"),
        settings.seed,
        output,
    )


@app.command(rich_help_panel=STAGE)
def finetune(
    initialisation: Annotated[str, typer.Argument(help="scratch, or the set of tasks of the checkpoint.")],
    speech: ShardSets,
    targets: Files,
    folds: Annotated[Path, typer.Option(help="Table of folds.")],
    output: OutputFolder,
    checkpoint: Annotated[Path | None, typer.Option(help="Checkpoint to start from.")] = None,
    threads: Threads = 1,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Fine-tune for emotion recognition: every fold and seed of one initialisation."""
    stage_function("finetune", threads)(
        initialisation,
        checkpoint,
        shards_by_name(speech, "--speech"),
        files_by_name(targets, "--targets"),
        folds,
        config_of(config, options),
        output,
        threads,
    )


@app.command(rich_help_panel=STAGE)
def functionals(
    audio: Shard, output: Output, threads: Threads = 1, config: ConfigFile = CONFIG, options: OptionsText = ""
) -> None:
    """Compute openSMILE functionals, one vector per clip, for the baseline."""
    stage_function("functionals", threads)(audio, config_of(config, options).functionals, output, threads)


@app.command(rich_help_panel=STAGE)
def baseline(
    functionals: ShardSets,
    targets: Files,
    folds: Annotated[Path, typer.Option(help="Table of folds.")],
    output: Output,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Train linear support vector machines on functionals: what the networks are compared with."""
    stage_function("baseline")(
        shards_by_name(functionals, "--functionals"),
        files_by_name(targets, "--targets"),
        folds,
        config_of(config, options).baseline,
        output,
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
def tables(output: OutputFolder, config: ConfigFile = CONFIG, options: OptionsText = "") -> None:
    """Write the result tables: CSV, Markdown, LaTeX."""
    stage_function("tables")(whole_config(config, options), output)


@app.command(rich_help_panel=STAGE)
def report(output: Output, config: ConfigFile = CONFIG, options: OptionsText = "") -> None:
    """Write the report: one self-contained HTML page."""
    stage_function("report")(whole_config(config, options), output)

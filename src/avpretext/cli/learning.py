"""Commands of the stages from pre-training to predictions."""

from pathlib import Path
from typing import Annotated

import typer

from avpretext.cli.base import (
    CONFIG,
    STAGE,
    ConfigFile,
    FeatureSets,
    Files,
    Folds,
    Name,
    OptionsText,
    Output,
    OutputFolder,
    Shard,
    ShardSet,
    ShardSets,
    Threads,
    VectorSets,
    app,
    config_of,
    corpus_options,
    file_lists_by_name,
    files_by_name,
    named,
    sets_by_name,
    shards_by_name,
    stage_function,
)
from avpretext.flow.paths import expand


@app.command(rich_help_panel=STAGE)
def pretrain(
    tasks: Annotated[str, typer.Argument(help="Pretext tasks joined by -, e.g. energy-activation-emotion.")],
    features: FeatureSets,
    index: ShardSets,
    output: OutputFolder,
    labels: Annotated[list[str] | None, typer.Option(help="CORPUS.TASK=FILE, repeatable; clusters has none.")] = None,
    threads: Threads = 1,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Pre-train the speech encoder on a set of pretext tasks, once for each seed."""
    tables: dict[str, dict[str, Path]] = {}
    for name, file in named(labels or [], "--labels").items():
        corpus, _, task = name.rpartition(".")
        tables.setdefault(corpus, {})[task] = Path(file)
    stage_function("pretrain", threads)(
        tasks.split("-"),
        sets_by_name(features, "--features"),
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


@app.command("co_occurrence", rich_help_panel=STAGE)
def co_occurrence(targets: Files, folds: Folds, output: Output) -> None:
    """Count the emotions that raters name together in the training clips, for the penalty loss."""
    stage_function("co_occurrence")(files_by_name(targets, "--targets"), folds, output)


@app.command(rich_help_panel=STAGE)
def finetune(
    initialisation: Annotated[str, typer.Argument(help="scratch, or the set of tasks of the checkpoints.")],
    features: FeatureSets,
    targets: Files,
    folds: Folds,
    output: OutputFolder,
    co_occurrence: Annotated[Path | None, typer.Option(help="Table for the penalty loss, of the same folds.")] = None,
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help="To start from; repeatable: runs take turns over pre-trainings.")
    ] = None,
    threads: Threads = 1,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Fine-tune for emotion recognition: every fold and seed of one initialisation."""
    stage_function("finetune", threads)(
        initialisation,
        checkpoint or [],
        sets_by_name(features, "--features"),
        files_by_name(targets, "--targets"),
        folds,
        co_occurrence,
        config_of(config, options),
        output,
        threads,
    )


@app.command(rich_help_panel=STAGE)
def export(
    initialisation: Annotated[str, typer.Argument(help="scratch, the tasks of checkpoints, or best, by dev score.")],
    features: FeatureSets,
    targets: Files,
    folds: Folds,
    output: OutputFolder,
    history: Annotated[list[str] | None, typer.Option(help="NAME=FILE, repeatable: what best chooses by.")] = None,
    checkpoint: Annotated[list[str] | None, typer.Option(help="NAME=FILE, repeatable: to start from.")] = None,
    threads: Threads = 1,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Train on all labelled clips; write the model as a folder for `avpretext predict`."""
    stage_function("export", threads)(
        initialisation,
        sets_by_name(features, "--features"),
        files_by_name(targets, "--targets"),
        folds,
        files_by_name(history or [], "--history"),
        file_lists_by_name(checkpoint or [], "--checkpoint"),
        config_of(config, options),
        output,
        threads,
    )


@app.command(rich_help_panel=STAGE)
def deepemocluster(
    features: FeatureSets,
    index: ShardSets,
    targets: Files,
    folds: Folds,
    output: OutputFolder,
    threads: Threads = 1,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Train DeepEmoCluster, half of whose labels are k-means clusters: every fold and seed."""
    stage_function("deepemocluster", threads)(
        sets_by_name(features, "--features"),
        shards_by_name(index, "--index"),
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
def statistics(
    features: Annotated[list[str], typer.Option(help="FEATURES=SHARD, repeatable; speech, log_mel.")],
    output: Output,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Compute statistics over time of per-frame features, one vector per clip, for the baseline."""
    stage_function("statistics")(files_by_name(features, "--features"), config_of(config, options).statistics, output)


@app.command(rich_help_panel=STAGE)
def ensemble(
    predictions: Annotated[list[Path], typer.Option(help="Predictions of one setting; repeatable.")],
    output: Output,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Let trained systems predict together, by the mean of their probabilities."""
    stage_function("ensemble")(predictions, config_of(config, options).ensemble, output)


@app.command(rich_help_panel=STAGE)
def baseline(
    vectors: VectorSets,
    targets: Files,
    folds: Folds,
    output: Output,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Train support vector machines on one vector per clip: what the networks are compared with."""
    stage_function("baseline")(
        sets_by_name(vectors, "--vectors"),
        files_by_name(targets, "--targets"),
        folds,
        config_of(config, options).baseline,
        output,
    )

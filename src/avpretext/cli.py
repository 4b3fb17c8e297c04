"""The command line: one command per stage, each with explicit inputs and outputs.

A command takes its options from a configuration file (`--config`, by default `config.yaml`), or, as the workflow does,
from one line of JSON (`--options`) that holds just the part that the stage depends on.
"""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from avpretext import __version__
from avpretext.config import Config
from avpretext.config_file import document, load, parse
from avpretext.errors import UserError, nearest
from avpretext.paths import Layout, expand
from avpretext.stages import STAGES, parse_signature

app = typer.Typer(
    name="avpretext",
    help="From talking-face video to self-supervision for speech emotion recognition, and to what it is worth. "
    "The workflow (`snakemake --cores 16`) runs these commands; each also runs by hand.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
STAGE, TOOL = "Stages, in the order of the flow", "Tools"

ConfigFile = Annotated[Path, typer.Option("--config", help="Configuration file.")]
OptionsText = Annotated[str, typer.Option("--options", help="The stage's options as JSON, in place of --config.")]
Output = Annotated[Path, typer.Option(help="Parquet file to write.")]
OutputFolder = Annotated[Path, typer.Option(help="Folder to write.")]
Rejects = Annotated[Path, typer.Option(help="Parquet file for refused clips.")]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads to use.")]
Name = Annotated[str, typer.Option("--corpus", help="Name of the corpus in the configuration.")]
Shard = Annotated[Path, typer.Option(help="One shard of the stage before.")]
ShardSet = Annotated[str, typer.Option(help="Shards: a folder, FOLDER@COUNT for its first COUNT, or a file.")]
CONFIG = Path("config.yaml")
CORES = os.cpu_count() or 1
THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


def _config(config: Path, options: str) -> Config:
    """Return the options of a command: from its JSON if given, else from the configuration file."""
    return parse_signature(options) if options else load(config)


def _run(stage: str, threads: int = 1) -> Any:
    """Return the function of a stage.

    Thread pools are limited before its module is imported: numpy and polars read their limits once, when they load.
    """
    for limit in THREAD_LIMITS:
        os.environ[limit] = str(threads)
    return importlib.import_module(STAGES[stage].module).run


def _named(entries: list[str], option: str) -> dict[str, str]:
    """Split NAME=VALUE entries.

    >>> _named(["demo=results/demo/speech@2"], "--speech")
    {'demo': 'results/demo/speech@2'}
    """
    for entry in entries:
        if "=" not in entry:
            raise UserError(f"{option} {entry!r}: expected NAME=VALUE")
    return dict(entry.split("=", 1) for entry in entries)


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"avpretext {__version__}")


@app.command(rich_help_panel=STAGE)
def models(output: Output, config: ConfigFile = CONFIG, options: OptionsText = "") -> None:
    """Fetch the face model and check its SHA-256."""
    _run("models")(_config(config, options).models, output)


@app.command(rich_help_panel=STAGE)
def index(
    corpus: Name,
    shard: Annotated[int, typer.Option(min=0, help="Number of the shard.")],
    output: Output,
    rejects: Rejects,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """List the clips of one shard of a corpus."""
    _run("index")(_corpus(_config(config, options), corpus), shard, output, rejects)


@app.command(rich_help_panel=STAGE)
def split(
    index: Shard,
    folder: Annotated[Path, typer.Option(help="Folder of the corpus.")],
    audio: Annotated[Path, typer.Option(help="Parquet file for the audio.")],
    rejects: Rejects,
    frames: Annotated[Path | None, typer.Option(help="Parquet file for the frames; leave out for audio alone.")] = None,
    threads: Threads = 1,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Decode each video once, into audio and frames on one clock."""
    _run("split", threads)(index, folder, _config(config, options).split, audio, frames, rejects, threads)


@app.command(rich_help_panel=STAGE)
def speech(
    audio: Shard,
    output: Output,
    rejects: Rejects,
    threads: Threads = 1,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Compute openSMILE low-level descriptors, energy and loudness."""
    _run("speech", threads)(audio, _config(config, options).speech, output, rejects, threads)


@app.command(rich_help_panel=STAGE)
def landmarks(
    frames: Shard,
    model: Annotated[Path, typer.Option(help="The file face_landmarker.task.")],
    output: Output,
    rejects: Rejects,
    preview: Annotated[Path, typer.Option(help="Parquet file for a few frames of one clip, for the report.")],
    threads: Threads = 1,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Track the face with MediaPipe: landmarks, blendshapes, head pose."""
    _run("landmarks", threads)(frames, model, _config(config, options).landmarks, output, rejects, preview, threads)


@app.command(rich_help_panel=STAGE)
def motion(landmarks: Shard, output: Output, config: ConfigFile = CONFIG, options: OptionsText = "") -> None:
    """Measure landmark speed per face region, head motion removed."""
    _run("motion")(landmarks, _config(config, options).motion, output)


@app.command(rich_help_panel=STAGE)
def neutral(
    landmarks: ShardSet, index: ShardSet, output: Output, config: ConfigFile = CONFIG, options: OptionsText = ""
) -> None:
    """Estimate each speaker's resting face."""
    settings = _config(config, options).action_units
    _run("neutral")(expand(landmarks), expand(index), settings, output)


@app.command("action_units", rich_help_panel=STAGE)
def action_units(
    landmarks: Shard,
    index: Shard,
    neutral: Shard,
    output: Output,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Measure action unit intensities from landmarks and blendshapes."""
    _run("action_units")(landmarks, index, neutral, _config(config, options).action_units, output)


@app.command(rich_help_panel=STAGE)
def rejects(
    corpus: Name,
    index: ShardSet,
    rejects: Annotated[list[str], typer.Option(help="Refused clips of a stage, as shards; repeatable.")],
    output: Output,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Gather refused clips; stop when too much of the corpus is refused."""
    files = [file for entry in rejects for file in expand(entry)]
    _run("rejects")(expand(index), files, corpus, _config(config, options).rejects, output)


@app.command("labels_energy", rich_help_panel=STAGE)
def labels_energy(
    speech: ShardSet, index: ShardSet, output: Output, config: ConfigFile = CONFIG, options: OptionsText = ""
) -> None:
    """Task 1: label chunks by their variation of vocal energy."""
    settings = _config(config, options)
    _run("labels_energy")(expand(speech), expand(index), settings.labels.energy, settings.chunks, output)


@app.command("labels_activation", rich_help_panel=STAGE)
def labels_activation(
    motion: ShardSet, audio: ShardSet, output: Output, config: ConfigFile = CONFIG, options: OptionsText = ""
) -> None:
    """Task 2: label chunks by facial activation."""
    settings = _config(config, options)
    _run("labels_activation")(expand(motion), expand(audio), settings.labels.activation, settings.chunks, output)


@app.command("labels_emotion", rich_help_panel=STAGE)
def labels_emotion(
    action_units: ShardSet, output: Output, config: ConfigFile = CONFIG, options: OptionsText = ""
) -> None:
    """Task 3: label clips by the emotion that their action units show."""
    _run("labels_emotion")(expand(action_units), _config(config, options).labels.emotion, output)


@app.command(rich_help_panel=STAGE)
def pretrain(
    tasks: Annotated[str, typer.Argument(help="Pretext tasks joined by -, e.g. energy-activation-emotion.")],
    speech: Annotated[list[str], typer.Option(help="CORPUS=SHARDS, repeatable.")],
    index: Annotated[list[str], typer.Option(help="CORPUS=SHARDS, repeatable.")],
    labels: Annotated[list[str], typer.Option(help="CORPUS.TASK=FILE, repeatable.")],
    output: OutputFolder,
    threads: Threads = 1,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Pre-train the speech encoder on a set of pretext tasks."""
    tables: dict[str, dict[str, Path]] = {}
    for name, file in _named(labels, "--labels").items():
        corpus, _, task = name.rpartition(".")
        tables.setdefault(corpus, {})[task] = Path(file)
    _run("pretrain", threads)(
        tasks.split("-"),
        {corpus: expand(entry) for corpus, entry in _named(speech, "--speech").items()},
        {corpus: expand(entry) for corpus, entry in _named(index, "--index").items()},
        tables,
        _config(config, options),
        output,
        threads,
    )


@app.command(rich_help_panel=STAGE)
def finetune(
    initialisation: Annotated[str, typer.Argument(help="scratch, or the set of tasks of the checkpoint.")],
    speech: ShardSet,
    index: ShardSet,
    output: OutputFolder,
    checkpoint: Annotated[Path | None, typer.Option(help="Checkpoint to start from.")] = None,
    threads: Threads = 1,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Fine-tune for emotion recognition: every fold and seed of one initialisation."""
    settings = _config(config, options)
    _run("finetune", threads)(initialisation, checkpoint, expand(speech), expand(index), settings, output, threads)


@app.command(rich_help_panel=STAGE)
def evaluate(
    predictions: Annotated[list[Path], typer.Option(help="Predictions of one initialisation; repeatable.")],
    output: OutputFolder,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Score predictions: metrics, intervals, paired tests against scratch."""
    settings = _config(config, options)
    _run("evaluate")(predictions, settings.evaluate, settings.seed, output)


@app.command(rich_help_panel=STAGE)
def tables(output: OutputFolder, config: ConfigFile = CONFIG, options: OptionsText = "") -> None:
    """Write the result tables: CSV, Markdown, LaTeX."""
    _run("tables")(_whole(config, options), output)


@app.command(rich_help_panel=STAGE)
def report(output: Output, config: ConfigFile = CONFIG, options: OptionsText = "") -> None:
    """Write the report: one self-contained HTML page."""
    _run("report")(_whole(config, options), output)


@app.command(rich_help_panel=TOOL)
def demo(
    output: Annotated[Path, typer.Argument(help="Folder for the corpus.")] = Path("data/demo"),
    model: Annotated[Path | None, typer.Option(help="The file face_landmarker.task; fetched if left out.")] = None,
    threads: Threads = CORES,
    config: ConfigFile = CONFIG,
) -> None:
    """Make the demo corpus: synthetic talking faces with known truth."""
    from avpretext.demo import corpus
    from avpretext.features.models import FACE_MODEL

    settings = load(config)
    face_model = model or Path(Layout(settings.results).models(FACE_MODEL))
    if model is None and not face_model.is_file():
        _run("models")(settings.models, face_model)
    corpus.run(output, settings.demo, face_model, threads)


@app.command("config", rich_help_panel=TOOL)
def show_config(file: Annotated[Path, typer.Argument(help="Configuration file.")] = CONFIG) -> None:
    """Print a configuration with every key, its value in force and its meaning."""
    print(document(load(file)), end="")


@app.command(rich_help_panel=TOOL)
def schema() -> None:
    """Print the JSON schema of the configuration."""
    print(json.dumps(Config.model_json_schema(), indent=2))


def _corpus(config: Config, name: str) -> Any:
    """Return the options of a corpus."""
    if name not in config.corpora:
        raise UserError(f"no corpus {name!r} in the configuration{nearest(name, config.corpora)}")
    return config.corpora[name]


def _whole(config: Path, options: str) -> Config:
    """Return the whole configuration: from its JSON if given, else from the file."""
    return parse(json.loads(options), "--options") if options else load(config)


def main() -> None:
    """Run the command line; a user's mistake is one line on standard error and exit status 2."""
    try:
        app()
    except UserError as error:
        print(f"avpretext: error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()

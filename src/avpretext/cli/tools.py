"""Commands beside the flow."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from avpretext.cli.app import app
from avpretext.cli.shared import (
    CONFIG,
    CORES,
    MORE_WORDS,
    STAGE,
    TOOL,
    ConfigFile,
    Outside,
    Parts,
    SpeakerFolderNumber,
    Threads,
    chosen_file,
    config_of,
    corpus_options,
    expect_one_folder,
    limit_pools,
)
from avpretext.config import Config, CorpusOptions, json_schema
from avpretext.config_file import document, load, parse
from avpretext.errors import UserError
from avpretext.flow.paths import Layout, expand
from avpretext.predict import MIN_SPEECH
from avpretext.programs import command


@app.command(rich_help_panel=STAGE)
def models(
    encoder: Annotated[
        str | None, typer.Argument(help="Pre-trained encoder of the configuration, or wavlm, ...")
    ] = None,
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of its files, to check or to write; default: the hub's cache.")
    ] = None,
    convert: Annotated[bool, typer.Option("--convert", help="Turn its pickled weights into safetensors.")] = False,
    output: Annotated[Path | None, typer.Option(help="File to write, face_landmarker.task.")] = None,
    pyfeat: Annotated[bool, typer.Option("--pyfeat", help="Fetch the weights of py-feat instead.")] = False,
    threads: Threads = 1,
    config: ConfigFile = CONFIG,
    options: Annotated[str, typer.Option(help="The stage's options as JSON, in place of --config.")] = "",
) -> None:
    """Fetch the face model, the weights of py-feat, or a pre-trained encoder, and check them."""
    if encoder is not None:
        from avpretext.sound import encoder_fetch

        limit_pools(threads)
        known = load(config).encoders if config.is_file() else {}
        print(encoder_fetch.run(encoder, known.get(encoder), folder, convert))
        return
    settings = config_of(config, options)
    if pyfeat:
        from avpretext.action_units import pyfeat_weights

        pyfeat_weights.fetch(settings.action_units.pyfeat)
    if output is not None or not pyfeat:
        _fetch_face_model(settings, output or Path(Layout(settings.results).path("models")))


def _fetch_face_model(config: Config, output: Path) -> None:
    from avpretext.face import model_file

    model_file.run(config.models, output)


@app.command(rich_help_panel=TOOL, context_settings=MORE_WORDS)
def corpus(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="READER", help="E.g. crema_d, see docs/corpora.md; default: detected from the file names."
        ),
    ],
    path: Annotated[Path | None, typer.Argument(help="Folder of the corpus, as it was downloaded.")] = None,
    audio: Annotated[bool, typer.Option("--audio", help="Check sound files, as with `video: false`.")] = False,
    silent: Annotated[
        bool, typer.Option("--silent", help="Check video without sound, as with `audio: false`.")
    ] = False,
    part: Parts = None,
    table: Annotated[
        str | None, typer.Option(help="Reader folder: CSV or Parquet of clips; emobox: its folder.")
    ] = None,
    outside: Outside = False,
    speaker_folder: SpeakerFolderNumber = None,
    headers: Annotated[
        Literal["sample", "all", "none"], typer.Option(help="Files to open for length and streams; sample: 2,000.")
    ] = "sample",
    listen: Annotated[
        Literal["sample", "all", "none"],
        typer.Option(help="Clips to decode; sample: 100, spread over speakers, the same each time."),
    ] = "sample",
    model: Annotated[
        Path | None,
        typer.Option(help="The file face_landmarker.task, to look for faces; that of ./results/models if left out."),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            metavar="READER=PATH",
            help="Another corpus of the same run, to find shared speakers and recordings; repeatable.",
        ),
    ] = None,
) -> None:
    """Check a corpus: count clips per speaker and label, and report problems."""
    from avpretext.corpora.checks import check

    expect_one_folder(path or Path(name), context)
    if path is None:
        path, name = Path(name), _guessed(name) if table is None else "folder"
    if not audio and not silent and (audio := _is_audio_only(path)):
        print(f"{path}: audio alone: checked as with --audio; in a configuration: video: false")
    options = {"path": str(path), "reader": name, "video": not audio, "audio": not silent, "table": table}
    options |= {"use": ["pretrain"] if silent else ["finetune"]}
    options |= {"parts": part or [], "outside": outside, "speaker_folder": speaker_folder}
    config = parse({"corpora": {"corpus": options}}, "corpus")
    face_model = model or Path(Layout(config.results).path("models"))
    others = [_other(text, not audio) for text in beside or []]
    seen = face_model if model or face_model.is_file() else None
    raise typer.Exit(check.run(config.corpora["corpus"], headers, listen, seen, others))


def _guessed(folder: str) -> str:
    """Return the reader that the names of a folder's files tell."""
    from avpretext.corpora import READERS
    from avpretext.corpora.scan import media_files
    from avpretext.init.guess import guess_reader

    if folder in READERS and not Path(folder).is_dir():
        raise UserError(
            f"corpus {folder}: the folder of the corpus is missing: {command(f'avpretext corpus {folder} FOLDER')}"
        )
    return guess_reader(sorted(media_files(CorpusOptions(path=folder, use=["pretrain"]))), folder)[0]


def _is_audio_only(folder: Path) -> bool:
    """Tell whether a folder has sound files and no video; one that is missing has neither."""
    from avpretext.corpora.reader import by_kind
    from avpretext.corpora.scan import media_files

    files = media_files(CorpusOptions(path=str(folder), use=["pretrain"])) if folder.is_dir() else {}
    return bool(files) and not by_kind(files, video=True)


def _other(text: str, video: bool) -> CorpusOptions:
    """Return the options of another corpus, `READER=PATH`."""
    reader, separator, path = text.partition("=")
    if not separator:
        raise UserError(f"--beside {text!r}: READER=PATH is expected, such as crema_d=/data/CREMA-D")
    options = {"path": path, "reader": reader, "use": ["finetune"], "video": video}
    return parse({"corpora": {"other": options}}, "--beside").corpora["other"]


@app.command(rich_help_panel=TOOL)
def convert(
    file: Annotated[
        Path,
        typer.Argument(help="Published PyTorch weights, e.g. X.pth.tar, of the chunk framework or DeepEmoCluster."),
    ],
    output: Annotated[
        Path,
        typer.Argument(help="Checkpoint to write, e.g. X.safetensors; of DeepEmoCluster a model folder for `predict`."),
    ],
    aggregator: Annotated[str | None, typer.Option(help="Aggregator; default: from the names of the weights.")] = None,
    channel: Annotated[list[str] | None, typer.Option(help="Name of each input, in order; repeatable.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration with the model and chunks to convert for.")] = None,
    statistics: Annotated[
        Path | None, typer.Option(help="DeepEmoCluster: the published folder NormTerm, means and deviations (.mat).")
    ] = None,
    normalise: Annotated[
        Literal["train", "speaker"] | None,
        typer.Option(
            help="DeepEmoCluster: by --statistics (train), or by the files themselves, see `predict --speakers`"
            " (speaker). Default: train if there are statistics."
        ),
    ] = None,
    attribute: Annotated[
        Literal["arousal", "dominance", "valence"] | None,
        typer.Option(help="DeepEmoCluster: predicted attribute; default: from _Act, _Dom, _Val in the file name."),
    ] = None,
) -> None:
    """Turn published weights into a checkpoint to fine-tune from (`finetune.checkpoints`), or a model for `predict`."""
    from avpretext.training import convert_weights
    from avpretext.training.cluster_models import Wishes

    settings = load(config) if config else None
    wishes = Wishes(statistics, normalise, attribute)
    print(convert_weights.run(file, output, settings, aggregator, channel, wishes))


@app.command(rich_help_panel=TOOL)
def predict(
    model: Annotated[
        str,
        typer.Argument(
            help="Folder of a model, e.g. results/CORPUS/export/SETTING/best; or its name on the Hugging Face hub,"
            " user/model or user/model@revision."
        ),
    ],
    files: Annotated[
        list[str], typer.Argument(help="Audio and video files, folders, quoted patterns; -: standard input.")
    ],
    along_time: Annotated[
        str | None, typer.Option(metavar="WINDOW,HOP", help="Along time: a row for WINDOW s, every HOP s; e.g. 3,1.")
    ] = None,
    speakers: Annotated[
        str | None,
        typer.Option(help="For models that normalise by speaker: one, folder, file, or a CSV with file, speaker."),
    ] = None,
    min_speech: Annotated[
        float, typer.Option(min=0, max=1, help="Minimum share of speech in a row; below it there is no prediction.")
    ] = MIN_SPEECH,
    format: Annotated[
        Literal["table", "json", "jsonl", "csv", "submission"] | None,
        typer.Option(
            help="submission: for the hidden test set of MSP-Podcast. Default: by the name of --output, else table."
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="File to write, whole or not at all.")] = None,
    encoder: Annotated[
        Path | None, typer.Option(help="Folder of the pre-trained encoder, for models that use one.")
    ] = None,
    live: Annotated[
        str | None,
        typer.Option(
            metavar="WINDOW,HOP",
            help="Standard input is a microphone: 16 bit samples, 16 kHz, mono; a row every HOP s.",
        ),
    ] = None,
    threads: Threads = CORES,
) -> None:
    """Predict the emotion of clips, or of windows along recordings, with an exported model.

    Exit status: 0; 1 if some files are unusable (their rows have the reason); 2 for a mistake.
    """
    limit_pools(1)
    from avpretext.predict.run import run

    refused = run(model, files, along_time, speakers, min_speech, format, output, threads, encoder, live)
    raise typer.Exit(1 if refused else 0)


@app.command(rich_help_panel=TOOL)
def serve(
    model: Annotated[Path, typer.Argument(help="Folder of a model, e.g. results/CORPUS/export/SETTING/best.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 7860,
    face_model: Annotated[
        Path | None,
        typer.Option(help="The file face_landmarker.task, to show faces; that of results/models if left out."),
    ] = None,
    encoder: Annotated[
        Path | None, typer.Option(help="Folder of the pre-trained encoder, for models that use one.")
    ] = None,
) -> None:
    """Show on a local page what a model makes of a file or of the microphone: emotion over time, energy, the face."""
    limit_pools(1)
    from avpretext.serve import web

    web.run(model, port, face_model or web.usual_face_model(model), encoder)


@app.command(rich_help_panel=TOOL)
def push(
    folder: Annotated[Path, typer.Argument(help="Folder of a model with its card.")],
    name: Annotated[str, typer.Argument(metavar="USER/MODEL", help="Its name on the Hugging Face hub.")],
    private: Annotated[bool, typer.Option("--private", help="Let nobody else see it.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and print what would be uploaded.")] = False,
) -> None:
    """Upload a trained model with its card to the Hugging Face hub, after checks."""
    from avpretext.predict import push

    push.run(folder, name, private, dry_run)


@app.command(rich_help_panel=TOOL)
def onnx(
    model: Annotated[str, typer.Argument(help="Folder of a model, or its name on the Hugging Face hub.")],
    output: Annotated[Path, typer.Argument(help="File to write, e.g. model.onnx.")],
) -> None:
    """Export a trained model as ONNX: feature frames of a clip in, probabilities out."""
    limit_pools(1)
    from avpretext.predict import onnx_file

    print(onnx_file.run(model, output))


@app.command("fit-emotions", rich_help_panel=TOOL)
def fit_emotions(
    corpora: Annotated[list[str], typer.Argument(help="Corpora of the configuration, with measured action units.")],
    output: Annotated[Path, typer.Option(help="Table to write, e.g. emotions.yaml; beside it a page of results, .md.")],
    neutral: Annotated[str, typer.Option(help="Label of the neutral class.")] = "NEU",
    labels: Annotated[
        Path | None, typer.Option(help="CSV or Parquet with clip_id and label; else the labels of the corpus.")
    ] = None,
    config: ConfigFile = CONFIG,
) -> None:
    """Fit a table of emotions (`labels.emotion.table`) to faces with known emotions; score it on other people."""
    from avpretext.labels import emotion_fit

    settings = load(config)
    unknown = [name for name in corpora if name not in settings.corpora]
    if unknown:
        raise UserError(f"{config}: no corpus {unknown[0]!r}; it has {', '.join(settings.corpora)}")
    emotion_fit.run(settings, corpora, output, neutral, labels)


@app.command("compare-aus", rich_help_panel=TOOL)
def compare_aus(
    first: Annotated[str, typer.Argument(help="Action units: a folder of shards, FOLDER@COUNT, or a file.")],
    second: Annotated[str, typer.Argument(help="The same clips, by another backend.")],
    output: Annotated[Path | None, typer.Option(help="CSV file to write too.")] = None,
) -> None:
    """Compare action units of two backends on the same clips, unit by unit."""
    from avpretext.evaluation import compare_aus

    compare_aus.run(expand(first), expand(second), output)


@app.command(rich_help_panel=TOOL)
def demo(
    output: Annotated[Path, typer.Argument(help="Folder for the corpus.")] = Path("data/demo"),
    model: Annotated[Path | None, typer.Option(help="The file face_landmarker.task; fetched if left out.")] = None,
    threads: Threads = CORES,
    config: ConfigFile = CONFIG,
) -> None:
    """Make the demo corpus: synthetic talking faces with known truth."""
    from avpretext.demo import corpus

    settings = load(config)
    face_model = model or Path(Layout(settings.results).path("models"))
    if model is None and not face_model.is_file():
        _fetch_face_model(settings, face_model)
    corpus.run(output, settings.demo, face_model, threads)


@app.command("config", rich_help_panel=TOOL)
def show_config(
    file: Annotated[Path | None, typer.Argument(help="Configuration file; the same as --config.")] = None,
    config: ConfigFile = CONFIG,
) -> None:
    """Print a configuration with every key, its value in force and its meaning."""
    print(document(load(chosen_file(file, config))), end="")


@app.command(rich_help_panel=TOOL)
def schema() -> None:
    """Print the JSON schema of the configuration."""
    print(json.dumps(json_schema(), indent=2, allow_nan=False))


@app.command("labels-to", rich_help_panel=TOOL)
def labels_to(
    form: Annotated[
        Literal["audformat", "csv", "datasets", "emobox", "lhotse"],
        typer.Argument(metavar="FORMAT", help="audformat, csv, datasets (Hugging Face), emobox or lhotse (Shar)."),
    ],
    output: Annotated[Path, typer.Argument(help="Folder to write; it must be new, or empty.")],
    corpus: Annotated[str, typer.Option(help="Name of the corpus in the configuration.")],
    audio: Annotated[bool, typer.Option(help="Write the audio too, as FLAC (all but csv).")] = True,
    config: ConfigFile = CONFIG,
) -> None:
    """Export pseudo-labels, targets and folds of a corpus, with its audio, for other tools."""
    from avpretext.interchange import labels_to

    settings = load(config)
    corpus_options(settings, corpus)
    tables = labels_to.run(settings, corpus, form, output, audio)
    print(f"{output}: {form}, {len(tables)} tables: {', '.join(tables)}")


@app.command(rich_help_panel=TOOL)
def animate(
    model: Annotated[Path, typer.Argument(help="Folder of a model, e.g. results/orofacial/joint/model.")],
    speech: Annotated[Path, typer.Argument(help="Any file with speech.")],
    film: Annotated[
        Path | None, typer.Option(help="Film to write, mp4; SPEECH.mouth.mp4 in this folder if left out.")
    ] = None,
    blendshapes: Annotated[
        Path | None, typer.Option(help="CSV of ARKit blendshapes to write; SPEECH.blendshapes.csv if left out.")
    ] = None,
    no_film: Annotated[bool, typer.Option("--no-film", help="Write only the blendshapes.")] = False,
    threads: Threads = 1,
) -> None:
    """Move a mouth by any speech: a film of it, and blendshapes per frame for an animator's rig."""
    limit_pools(threads)
    from avpretext.orofacial import animate

    drawn = None if no_film else film or Path(f"{speech.stem}.mouth.mp4")
    table = blendshapes or Path(f"{speech.stem}.blendshapes.csv")
    animate.run(model, speech, drawn, table)
    print(f"Blendshapes: {table}" + ("" if drawn is None else f"\nFilm:        {drawn}"))


@app.command(rich_help_panel=TOOL)
def tensorboard(
    output: Annotated[Path, typer.Argument(help="Log folder to write, for `tensorboard --logdir`.")],
    results: Annotated[Path, typer.Option(help="Folder of results.")] = Path("results"),
) -> None:
    """Write the training curves of a results folder as TensorBoard event files."""
    from avpretext.interchange import tensorboard

    runs = tensorboard.run(results, output)
    print(f"{output}: {len(runs)} runs; look at them with: tensorboard --logdir {output}")


@app.command(rich_help_panel=TOOL)
def search(
    space: Annotated[Path, typer.Option(help="YAML file: KEY: [CHOICE, ...] or KEY: {low: .., high: .., log: true}.")],
    trials: Annotated[int, typer.Option(min=1, help="Trials in all, beside the configuration as it is.")] = 20,
    minutes: Annotated[float, typer.Option(min=0, help="No trial begins later.")] = 60,
    initialisation: Annotated[str, typer.Option(help="What fine-tuning starts from.")] = "scratch",
    measure: Annotated[
        str | None, typer.Option(help="What dev chooses by, e.g. uar; default: the main measure of the target.")
    ] = None,
    cores: Annotated[int, typer.Option(min=1, help="Cores of each run of the workflow.")] = CORES,
    file: Annotated[Path | None, typer.Argument(help="Configuration file; the same as --config.")] = None,
    config: ConfigFile = CONFIG,
) -> None:
    """Choose hyper-parameters on dev speakers, fold by fold, and score the choice on test speakers."""
    from avpretext.search import tuning

    folder = tuning.run(chosen_file(file, config), space, trials, minutes, initialisation, measure, cores)
    print((folder / "search.md").read_text("utf-8"))

"""Commands of the stages from a corpus to pseudo-labels."""

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
    Rejects,
    Shard,
    ShardSet,
    Threads,
    app,
    config_of,
    corpus_options,
    stage_function,
)
from avpretext.flow.paths import Layout, expand

FaceModel = Annotated[Path, typer.Option(help="The file face_landmarker.task.")]
Preview = Annotated[Path, typer.Option(help="Parquet file for a few frames of a few clips, for the report.")]
Thumbnails = Annotated[Path | None, typer.Option(help="Parquet file for a few small faces of each clip.")]


@app.command(rich_help_panel=STAGE)
def models(
    output: Annotated[Path | None, typer.Option(help="Where the file face_landmarker.task goes.")] = None,
    pyfeat: Annotated[bool, typer.Option("--pyfeat", help="Fetch the weights of py-feat instead.")] = False,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Fetch the face model, or the weights of py-feat, and check them."""
    settings = config_of(config, options)
    if pyfeat:
        from avpretext.action_units import pyfeat_weights

        pyfeat_weights.fetch(settings.action_units.pyfeat)
    if output is not None or not pyfeat:
        from avpretext.face.model_file import FACE_MODEL

        stage_function("models")(settings.models, output or Path(Layout(settings.results).models(FACE_MODEL)))


@app.command(rich_help_panel=STAGE)
def index(
    corpus: Name,
    shard: Annotated[int, typer.Option(min=0, help="Number of the shard.")],
    output: Output,
    rejects: Rejects,
    listing: Annotated[Path | None, typer.Option(help="What a scan of the corpus found, to save another.")] = None,
    fingerprint: Annotated[str | None, typer.Option(help="Of the shard; else the listing is not believed.")] = None,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """List the clips of one shard of a corpus."""
    chosen = corpus_options(config_of(config, options), corpus)
    stage_function("index")(chosen, shard, output, rejects, listing, fingerprint)


@app.command(rich_help_panel=STAGE)
def segment(
    corpus: Name,
    index: Shard,
    folder: Annotated[Path, typer.Option(help="Folder of the corpus.")],
    output: Output,
    rejects: Rejects,
    model: Annotated[Path | None, typer.Option(help="The file face_landmarker.task, if faces are counted.")] = None,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Cut long recordings into clips: fixed windows, or where someone speaks and one face is seen."""
    settings = config_of(config, options)
    video = corpus_options(settings, corpus).video
    stage_function("segment")(index, folder, settings.segment, settings.split, video, model, output, rejects)


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
    stage_function("split", threads)(index, folder, config_of(config, options).split, audio, frames, rejects, threads)


@app.command(rich_help_panel=STAGE)
def watch(
    index: Shard,
    folder: Annotated[Path, typer.Option(help="Folder of the corpus.")],
    audio: Annotated[Path, typer.Option(help="Parquet file for the audio.")],
    rejects: Rejects,
    model: FaceModel,
    landmarks: Annotated[Path, typer.Option(help="Parquet file for the landmarks.")],
    faceless: Annotated[Path, typer.Option(help="Parquet file for clips refused since they show no face.")],
    preview: Preview,
    thumbnails: Thumbnails = None,
    threads: Threads = 1,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Decode each video once and follow the face meanwhile: `split` and `landmarks` without storing frames."""
    settings = config_of(config, options)
    run = stage_function("watch", threads)
    from avpretext.action_units.expressions import strength
    from avpretext.face.landmarks import Artefacts

    artefacts = Artefacts(landmarks, faceless, preview, thumbnails, strength)
    run(index, folder, settings.split, audio, rejects, model, settings.landmarks, artefacts, threads)


@app.command(rich_help_panel=STAGE)
def speed(
    factor: Annotated[float, typer.Argument(help="Above 1 is faster and higher, e.g. 1.08.")],
    audio: Shard,
    output: Output,
    threads: Threads = 1,
) -> None:
    """Play clips faster or slower, so that training hears more speakers than there are."""
    stage_function("speed", threads)(audio, factor, output, threads)


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
    stage_function("speech", threads)(audio, config_of(config, options).speech, output, rejects, threads)


@app.command("log_mel", rich_help_panel=STAGE)
def log_mel(
    audio: Shard, output: Output, threads: Threads = 1, config: ConfigFile = CONFIG, options: OptionsText = ""
) -> None:
    """Compute log-mel spectrograms."""
    stage_function("log_mel", threads)(audio, config_of(config, options).log_mel, output, threads)


@app.command(rich_help_panel=STAGE)
def phones(
    corpus: Name,
    audio: Shard,
    index: Annotated[Path, typer.Option(help="Shard that lists the clips: for files and sentences.")],
    output: Output,
    rejects: Rejects,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Find when each phone is spoken, and which viseme it is."""
    settings = config_of(config, options)
    chosen = corpus_options(settings, corpus)
    stage_function("phones")(audio, index, chosen, settings.phones, output, rejects)


@app.command(rich_help_panel=STAGE)
def landmarks(
    frames: Shard,
    model: FaceModel,
    output: Output,
    rejects: Rejects,
    preview: Preview,
    thumbnails: Thumbnails = None,
    threads: Threads = 1,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Track the face with MediaPipe: landmarks, blendshapes, head pose."""
    settings = config_of(config, options).landmarks
    run = stage_function("landmarks", threads)
    from avpretext.action_units.expressions import strength
    from avpretext.face.landmarks import Artefacts

    run(frames, model, settings, Artefacts(output, rejects, preview, thumbnails, strength), threads)


@app.command(rich_help_panel=STAGE)
def motion(landmarks: Shard, output: Output, config: ConfigFile = CONFIG, options: OptionsText = "") -> None:
    """Measure landmark speed per face region, head motion removed."""
    stage_function("motion")(landmarks, config_of(config, options).motion, output)


@app.command(rich_help_panel=STAGE)
def neutral(
    landmarks: ShardSet, index: ShardSet, output: Output, config: ConfigFile = CONFIG, options: OptionsText = ""
) -> None:
    """Estimate each speaker's resting face."""
    settings = config_of(config, options).action_units
    stage_function("neutral")(expand(landmarks), expand(index), settings, output)


@app.command("action_units", rich_help_panel=STAGE)
def action_units(
    output: Output,
    landmarks: Annotated[Path | None, typer.Option(help="Shard of `landmarks`: for blendshapes and import.")] = None,
    frames: Annotated[Path | None, typer.Option(help="Shard of `split`'s frames: for pyfeat.")] = None,
    index: Annotated[Path | None, typer.Option(help="Shard that lists the clips: for blendshapes and import.")] = None,
    neutral: Annotated[Path | None, typer.Option(help="Table of `neutral`: for blendshapes.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Folder of the corpus: for import.")] = None,
    threads: Threads = 1,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Measure action unit intensities, by the backend that the configuration names."""
    run = stage_function("action_units", threads)
    from avpretext.action_units.backends import Inputs

    run(Inputs(landmarks, frames, index, neutral, folder), config_of(config, options).action_units, output)


@app.command(rich_help_panel=STAGE)
def rejects(
    corpus: Name,
    clips: ShardSet,
    rejects: Annotated[list[str], typer.Option(help="Refused clips of a stage, as shards; repeatable.")],
    output: Output,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Gather refused clips; stop when too much of the corpus is refused."""
    files = [file for entry in rejects for file in expand(entry)]
    stage_function("rejects")(expand(clips), files, corpus, config_of(config, options).rejects, output)


@app.command("labels_energy", rich_help_panel=STAGE)
def labels_energy(
    speech: ShardSet, index: ShardSet, output: Output, config: ConfigFile = CONFIG, options: OptionsText = ""
) -> None:
    """Task 1: label chunks by their variation of vocal energy."""
    settings = config_of(config, options)
    stage_function("labels_energy")(expand(speech), expand(index), settings.labels.energy, settings.chunks, output)


@app.command("labels_activation", rich_help_panel=STAGE)
def labels_activation(
    motion: ShardSet, audio: ShardSet, output: Output, config: ConfigFile = CONFIG, options: OptionsText = ""
) -> None:
    """Task 2: label chunks by facial activation."""
    settings = config_of(config, options)
    stage_function("labels_activation")(
        expand(motion), expand(audio), settings.labels.activation, settings.chunks, output
    )


@app.command("labels_emotion", rich_help_panel=STAGE)
def labels_emotion(
    action_units: ShardSet, output: Output, config: ConfigFile = CONFIG, options: OptionsText = ""
) -> None:
    """Task 3: label clips by the emotion that their action units show."""
    stage_function("labels_emotion")(expand(action_units), config_of(config, options).labels.emotion, output)

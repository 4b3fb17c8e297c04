"""Commands for a project of one's own, from its first configuration to a look at one of its clips."""

from pathlib import Path
from typing import Annotated

import typer

from avpretext.cli.app import app
from avpretext.cli.shared import (
    CONFIG,
    MORE_WORDS,
    TOOL,
    ConfigFile,
    Outside,
    Parts,
    SpeakerFolderNumber,
    expect_one_folder,
)
from avpretext.config_file import load


@app.command(rich_help_panel=TOOL, context_settings=MORE_WORDS)
def init(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Project folder to make.", metavar="DIR")],
    corpus: Annotated[Path | None, typer.Option(help="Folder of your recordings, as they are.")] = None,
    reader: Annotated[str | None, typer.Option(help="Reader, e.g. crema_d; default: detected from the names.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the corpus in tables and folders.")] = None,
    use: Annotated[list[str] | None, typer.Option(help="pretrain or finetune; repeatable.")] = None,
    video: Annotated[bool | None, typer.Option("--video/--audio", help="Use faces and sound, or sound only.")] = None,
    table: Annotated[
        str | None,
        typer.Option(
            help="CSV or Parquet of clips with speakers, labels, fold; here or in the folder; emobox: its folder."
        ),
    ] = None,
    outside: Outside = False,
    speaker_folder: SpeakerFolderNumber = None,
    part: Parts = None,
    shards: Annotated[int | None, typer.Option(min=1, max=10_000, help="Number of parallel pieces.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask no questions; use the detected values.")] = False,
    silent: Annotated[
        bool | None,
        typer.Option("--silent/--sound", help="Use faces only, or sound too; default: by the files."),
    ] = None,
) -> None:
    """Make a project folder: a configuration for your corpus, and a Snakefile that runs the workflow.

    Values detected in the corpus are the defaults of the questions. Nothing is overwritten.
    """
    from avpretext.init import make_project

    expect_one_folder(corpus, context)
    clips = make_project.Clips(table, outside, speaker_folder, part or [])
    make_project.run(folder, make_project.Wishes(corpus, reader, name, use, video, clips, shards, yes, silent))


@app.command(rich_help_panel=TOOL)
def doctor(
    config: ConfigFile = CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check that this machine has all that a configuration needs, and print how to fix what is missing.

    The exit status is 1 only if something that the configuration needs is missing.
    """
    from avpretext.doctor import examine

    raise typer.Exit(examine.run(config, as_json))


@app.command(rich_help_panel=TOOL)
def inspect(
    clip: Annotated[str, typer.Argument(help="clip_id, CORPUS/CLIP_ID, or the clip's file.", metavar="CLIP")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write, .png or .mp4; left out: CLIP.png, here.")
    ] = None,
    film: Annotated[bool, typer.Option("--film", help="Without --output: CLIP.mp4.")] = False,
    corpus: Annotated[str | None, typer.Option(help="Search this corpus only.")] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Show whole frames, not only the region of the face.")] = False,
    height: Annotated[int, typer.Option(min=480, max=2160, help="Height of an .mp4, in pixels.")] = 720,
    config: ConfigFile = CONFIG,
) -> None:
    """Draw one clip: its frames with the landmarks, over energy, motion, action units and pseudo-labels.

    A .png shows six frames, each above its own time. An .mp4 plays the clip, with its sound, every frame with its
    landmarks, and a cursor that moves along the signals.
    """
    from avpretext.inspect import show

    show.run(load(config), clip, corpus, output, whole, height, "mp4" if film else "png")

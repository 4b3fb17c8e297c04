"""Commands for a project of one's own, from its first configuration to a look at one of its clips."""

from pathlib import Path
from typing import Annotated

import typer

from avpretext.cli.base import CONFIG, TOOL, ConfigFile, app
from avpretext.config_file import load


@app.command(rich_help_panel=TOOL)
def inspect(
    clip: Annotated[str, typer.Argument(help="clip_id, CORPUS/CLIP_ID, or the clip's file.", metavar="CLIP")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write, .png or .mp4; left out: CLIP.png, here.")
    ] = None,
    film: Annotated[bool, typer.Option("--film", help="Without --output: CLIP.mp4.")] = False,
    corpus: Annotated[str | None, typer.Option(help="Look in this corpus alone.")] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Show whole frames, not just where the face goes.")] = False,
    height: Annotated[int, typer.Option(min=480, max=2160, help="Of an .mp4, in pixels.")] = 720,
    config: ConfigFile = CONFIG,
) -> None:
    """Draw one clip: its frames with the landmarks, over energy, motion, action units and pseudo-labels.

    A .png shows six frames, each above its own time. An .mp4 plays the clip, with its sound, every frame with its
    landmarks, and a cursor that moves along the signals.
    """
    from avpretext.inspect import show

    show.run(load(config), clip, corpus, output, whole, height, "mp4" if film else "png")

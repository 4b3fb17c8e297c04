"""Commands of speech that moves a face."""

from pathlib import Path
from typing import Annotated

import typer

from avpretext.cli.base import (
    CONFIG,
    STAGE,
    TOOL,
    ConfigFile,
    FeatureSets,
    OptionsText,
    Output,
    OutputFolder,
    Shard,
    ShardSet,
    ShardSets,
    Threads,
    app,
    config_of,
    files_by_name,
    sets_by_name,
    shards_by_name,
    stage_function,
    whole_config,
)
from avpretext.errors import UserError
from avpretext.flow.paths import expand
from avpretext.systems import OrofacialSystem


@app.command("resting_shape", rich_help_panel=STAGE)
def resting_shape(
    landmarks: ShardSet,
    index: ShardSet,
    neutral: Annotated[Path, typer.Option(help="Table of `neutral`.")],
    output: Output,
) -> None:
    """Find the shape of each speaker's lower face at rest."""
    stage_function("resting_shape")(expand(landmarks), expand(index), neutral, output)


@app.command("lower_face", rich_help_panel=STAGE)
def lower_face(
    landmarks: Shard,
    index: Shard,
    shape: Annotated[Path, typer.Option(help="Table of `resting_shape`.")],
    output: Output,
) -> None:
    """Measure how lips, jaw and lower cheeks move from rest, head pose removed."""
    stage_function("lower_face")(landmarks, index, shape, output)


@app.command("orofacial_system", rich_help_panel=STAGE)
def orofacial_system(
    system: Annotated[OrofacialSystem, typer.Argument(help="How the movement is learnt.")],
    features: FeatureSets,
    movement: Annotated[list[str], typer.Option(help="CORPUS=SHARDS of `lower_face`, repeatable.")],
    index: ShardSets,
    shape: Annotated[list[str], typer.Option(help="CORPUS=FILE of `resting_shape`, repeatable.")],
    output: OutputFolder,
    phones: Annotated[list[str] | None, typer.Option(help="CORPUS=SHARDS of `phones`, repeatable.")] = None,
    emotions: Annotated[list[str] | None, typer.Option(help="CORPUS=FILE with clip_id, label; repeatable.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Checkpoint of `pretrain` that the trunk starts from.")
    ] = None,
    threads: Threads = 1,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Train a model that moves a face by speech: every fold and seed of one system."""
    run = stage_function("orofacial_system", threads)
    from avpretext.orofacial.moved_clips import OrofacialInputs

    heard, moved = sets_by_name(features, "--features"), shards_by_name(movement, "--movement")
    listed, shapes = shards_by_name(index, "--index"), files_by_name(shape, "--shape")
    spoken = shards_by_name(phones or [], "--phones")
    felt = files_by_name(emotions or [], "--emotions")
    for option, named in (("--features", heard), ("--index", listed), ("--shape", shapes)):
        if missing := [corpus for corpus in moved if corpus not in named]:
            raise UserError(f"{option}: nothing of {missing[0]}, whose movement is given: name its files too")
    inputs = {
        corpus: OrofacialInputs(
            heard[corpus], moved[corpus], listed[corpus], shapes[corpus], spoken.get(corpus, ()), felt.get(corpus)
        )
        for corpus in moved
    }
    run(system, inputs, config_of(config, options), output, threads, checkpoint)


@app.command("orofacial_tables", rich_help_panel=STAGE)
def orofacial_tables(
    output: OutputFolder,
    page: Annotated[Path, typer.Option(help="HTML page to write.")],
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Score the orofacial systems on speakers never heard: tables and a page."""
    settings = whole_config(config, options)
    stage_function("orofacial_tables")(settings, output)
    from avpretext.orofacial.orofacial_page import run

    run(settings, output, page)


@app.command(rich_help_panel=TOOL)
def film(
    output: OutputFolder,
    clips: Annotated[list[str] | None, typer.Argument(help="CORPUS/CLIP_ID of test clips; else some.")] = None,
    config: ConfigFile = CONFIG,
    options: OptionsText = "",
) -> None:
    """Film test clips: the video, the face that was seen, the face that the speech moves; with sound."""
    from avpretext.orofacial import film

    film.run(whole_config(config, options), output, clips or [])


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
    no_film: Annotated[bool, typer.Option("--no-film", help="Write the blendshapes alone.")] = False,
    threads: Threads = 1,
) -> None:
    """Move a mouth by any speech: a film of it, and blendshapes per frame for an animator's rig."""
    stage_function("orofacial_system", threads)
    from avpretext.orofacial import animate

    drawn = None if no_film else film or Path(f"{speech.stem}.mouth.mp4")
    table = blendshapes or Path(f"{speech.stem}.blendshapes.csv")
    animate.run(model, speech, drawn, table)
    print(f"Blendshapes: {table}" + ("" if drawn is None else f"\nFilm:        {drawn}"))

"""`avpretext inspect`: find a clip, gather what is known of it, and draw it."""

from pathlib import Path
from typing import Literal

from avpretext.config import Config
from avpretext.errors import UserError
from avpretext.inspect import movie, strip, words
from avpretext.inspect.clip_pictures import pictures_of
from avpretext.inspect.find import locate, said
from avpretext.programs import workflow
from avpretext.report.clip import Clip

KINDS = (".png", ".mp4")


def run(
    config: Config, name: str, corpus: str | None, output: Path | None, whole: bool, height: int,
    kind: Literal["png", "mp4"] = "png",
) -> Path:  # fmt: skip
    """Draw a clip, see `find.locate`, print what is known of it, and return the file.

    The output is a .png or an .mp4; None: a file of this `kind`, named after the clip, here. For `whole` and `height`
    see `movie.write`. It is an error if there is no such clip, if nothing of it can be shown, or if the output ends
    otherwise.
    """
    if output is not None and output.suffix.lower() not in KINDS:
        raise UserError(f"--output {output}: expected a file that ends in {' or '.join(KINDS)}")
    clip = locate(config, name, corpus)
    check_there(clip)
    file = output or Path(clip.clip_id.replace("/", "_") + f".{kind}")
    pictures = pictures_of(clip)
    print(words.summary(clip, pictures.note))
    if file.suffix.lower() == ".mp4":
        movie.write(file, clip, pictures, whole, height)
    else:
        strip.write(file, clip, pictures, whole)
    print(f"Wrote {file}")
    return file


def check_there(clip: Clip) -> None:
    """Raise where there is nothing to draw: the clip was refused at once, or its shards are not made yet."""
    if clip.row and clip.there:
        return
    if clip.refusals:
        raise UserError(f"{clip.clip_id}: {said(clip.refusals)}. There is nothing to show")
    raise UserError(
        f"{clip.clip_id}: its sound and speech features are not made yet: run the workflow, at least"
        f" `{workflow('features')}`"
    )

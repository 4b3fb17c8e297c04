"""Self-supervision for speech emotion recognition from talking-face video.

`avpretext.open` opens a finished run, `avpretext.load` a trained model. What they need is imported when they are
called, since torch takes a second.
"""

import os
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avpretext.evaluation.opened import Run
    from avpretext.predict.model import Model

__all__ = ["__version__", "load", "open"]

try:
    __version__ = version("avpretext")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"


def load(
    folder: str | os.PathLike[str], encoder: str | os.PathLike[str] | None = None, revision: str | None = None
) -> "Model":
    """Open a trained model, a folder that the stage `export` has written; docs/predict.md has examples.

    Parameters
    ----------
    folder
        Such as `results/demo_labelled/export/acted.speaker_kfold/best`; or a model on the Hugging Face hub,
        `user/model` or `user/model@revision`, which is fetched into the hub's cache.
    encoder
        Folder of the pre-trained encoder that the model hears, where it does; None: `encoder` in the model's folder, or
        the cache of the Hugging Face hub.
    revision
        Branch, tag or commit of a model on the hub; None: that of its name, else the main branch.

    Raises
    ------
    avpretext.errors.UserError
        A file of the folder is missing, changed or of a newer format, the encoder is not there or another one, or the
        hub has no such model or cannot be reached.
    """
    from avpretext.predict.hub_models import located
    from avpretext.predict.model import Model

    return Model(located(folder, revision), encoder)


def open(folder: str | os.PathLike[str] = "results") -> "Run":
    """Open a finished run by its results folder: clips, labels, features, predictions and scores as polars frames.

    An unfinished run is an `avpretext.errors.UserError`; docs/open.md has examples.
    """
    from pathlib import Path

    from avpretext.evaluation.opened import Run

    return Run(Path(folder))

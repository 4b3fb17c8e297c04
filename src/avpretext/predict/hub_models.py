"""Models on the Hugging Face hub: from `user/model` to a folder in the hub's cache."""

import os
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

from avpretext.errors import UserError
from avpretext.training.model_folder import CARD, DESCRIPTION, README, WEIGHTS

FILES = (DESCRIPTION, WEIGHTS, README, CARD)
"""The files of a model that travel: nothing else is fetched or pushed, above all no code."""

_NAME = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>[^@\s]+))?", re.ASCII)


class HubModel(NamedTuple):
    """A model on the hub: `user/model`, and a branch, tag or commit; None: the main branch."""

    repo: str
    revision: str | None = None

    def __str__(self) -> str:
        return self.repo if self.revision is None else f"{self.repo}@{self.revision}"


def hub_model(name: str) -> HubModel | None:
    """Return the model that a name such as `user/model@revision` means, None for any other text.

    >>> hub_model("ann/anger@v2"), hub_model("results/demo/export")
    (HubModel(repo='ann/anger', revision='v2'), None)
    """
    found = _NAME.fullmatch(name)
    return None if found is None else HubModel(found["repo"], found["revision"])


def located(name: str | os.PathLike[str], revision: str | None = None) -> Path:
    """Return the folder of a model.

    Parameters
    ----------
    name
        A folder, which wins if it exists, or as text `user/model` or `user/model@revision` on the hub.
    revision
        Branch, tag or commit on the hub; None: the one in the name, else the main branch.

    Raises
    ------
    UserError
        The hub has no such model, or cannot be reached; a revision of a folder.
    """
    folder = Path(name)
    wanted = hub_model(name) if isinstance(name, str) and not folder.exists() else None
    if wanted is None:
        if revision is not None:
            raise UserError(f"revision {revision!r} of {folder}: only models on the hub have one, such as user/model")
        return folder
    if revision is not None and wanted.revision not in (None, revision):
        raise UserError(f"{name}: has a revision in its name, and {revision!r} beside; give one of them")
    return fetched(HubModel(wanted.repo, revision or wanted.revision))


def fetched(model: HubModel) -> Path:
    """Fetch a model into the hub's cache, where files that are there already are not fetched again.

    Raises
    ------
    UserError
        It is not there, needs a permission, is no model of avpretext, or cannot be fetched.
    """
    import huggingface_hub
    from huggingface_hub import errors

    try:
        where = huggingface_hub.snapshot_download(model.repo, revision=model.revision, allow_patterns=list(FILES))
    except errors.GatedRepoError:
        page = f"https://huggingface.co/{model.repo}"
        raise UserError(f"{model}: needs a permission; accept its terms on {page}, then run `hf auth login`") from None
    except errors.RevisionNotFoundError:
        page = f"https://huggingface.co/{model.repo}/commits"
        raise UserError(f"{model}: the hub has the model, but no such revision; choose one of {page}") from None
    except errors.RepositoryNotFoundError:
        raise UserError(
            f"{model}: no such folder here, and no such model on the hub; check the name, and for a private model run"
            " `hf auth login`"
        ) from None
    except Exception as error:  # whatever the hub and its HTTP client raise, which changes between versions
        raise UserError(
            f"{model}: no such folder here, and it cannot be fetched from the hub ({reason(error)}); fetch it once with"
            f" network (`hf download {model.repo}`), or name a folder"
        ) from None
    if not (Path(where) / DESCRIPTION).is_file():
        raise UserError(f"{model}: the hub has it, but it is no model of avpretext: it has no {DESCRIPTION}")
    return Path(where)


def reason(error: Exception) -> str:
    """Return the message of an error of the hub on one line, cut after 120 letters."""
    return textwrap.shorten(str(error), 120, placeholder="...") or type(error).__name__

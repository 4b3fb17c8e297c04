"""The command `push`: a trained model with its card to the Hugging Face hub."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from avpretext.errors import UserError
from avpretext.predict.hub_models import FILES, HubModel, hub_model, reason
from avpretext.training import model_folder
from avpretext.training.model_folder import CARD, DESCRIPTION, README, UNKNOWN_LICENCE

_CARD_AGAIN = "run the stage 'card', which writes it"
_LOGIN = "run `hf auth login`, or set HF_TOKEN, with a token that may write: https://huggingface.co/settings/tokens"


class Upload(NamedTuple):
    """What would be uploaded: bytes of each file, the headline of the card, the licence of each corpus."""

    sizes: dict[str, int]
    headline: str
    licences: dict[str, str]


def run(folder: Path, name: str, private: bool, dry_run: bool) -> None:
    """Check a model, print what is uploaded, and upload it.

    Parameters
    ----------
    folder
        Of the model.
    name
        On the hub, `user/model`.
    private
        Whether nobody else may see it.
    dry_run
        Only check and print.

    Raises
    ------
    UserError
        A file is missing or changed, the card is of other weights, the name is none, there is no token, or the hub
        refuses.
    """
    model = hub_model(name)
    if model is None or model.revision is not None:
        raise UserError(f"push {name}: expected a name on the hub, user/model")
    for line in told(checked(folder), model, private):
        print(line)
    print("--dry-run: nothing was uploaded" if dry_run else f"uploaded: {upload(folder, model, private)}")


def checked(folder: Path) -> Upload:
    """Check all files of a model, and return what would be uploaded.

    Raises
    ------
    UserError
        See `run`.
    """
    description = model_folder.read(folder).description
    for name in (README, CARD):
        if not (folder / name).is_file():
            raise UserError(f"{folder}: a model travels with its card, and {name} is missing; {_CARD_AGAIN}")
    page = (folder / README).read_text("utf-8")
    if description.weights_sha256 not in page:
        raise UserError(
            f"{folder / README}: is the card of another model: it does not have the SHA-256 of the weights that is in"
            f" {DESCRIPTION}; {_CARD_AGAIN}"
        )
    sizes = {name: (folder / name).stat().st_size for name in FILES}
    return Upload(sizes, headline_of(page), licences_of(folder / CARD))


def headline_of(page: str) -> str:
    """Return the first headline of a page, after its front matter."""
    body = page.split("\n---\n", 1)[-1]
    return next((line.lstrip("# ") for line in body.splitlines() if line.startswith("# ")), "")


def licences_of(card: Path) -> dict[str, str]:
    """Return the licence of each corpus, as `card.json` has it."""
    try:
        found = json.loads(card.read_text("utf-8"))["licences"]
        return {str(name): str(licence) for name, licence in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{card}: has no licences; {_CARD_AGAIN}") from None


def told(found: Upload, model: HubModel, private: bool) -> Iterator[str]:
    """Yield the lines that tell what is uploaded, where to, and which licences are unknown."""
    yield f"{found.headline}\nto https://huggingface.co/{model.repo}{' (private)' if private else ''}"
    for name, size in found.sizes.items():
        yield f"{size:>12,} bytes  {name}"
    for corpus, licence in found.licences.items():
        unknown = licence == UNKNOWN_LICENCE
        yield f"licence of {corpus}: " + ("unknown; may models of it be published?" if unknown else licence)


def upload(folder: Path, model: HubModel, private: bool) -> str:
    """Upload the files of a model; return the address of the commit.

    Raises
    ------
    UserError
        There is no token, the hub refuses, or the model is public on the hub and should be private.
    """
    import huggingface_hub

    if huggingface_hub.get_token() is None:
        raise UserError(f"push {model}: there is no token of the hub; {_LOGIN}")
    api = huggingface_hub.HfApi()
    try:
        api.create_repo(model.repo, private=private or None, exist_ok=True)
        # A repository that exists keeps its visibility.
        if private and not api.repo_info(model.repo).private:
            raise UserError(f"push {model}: --private, but the model exists on the hub and is public; nothing uploaded")
        done = api.upload_folder(
            folder_path=folder,
            repo_id=model.repo,
            allow_patterns=list(FILES),
            commit_message="A model of avpretext, with its card",
        )
    except UserError:
        raise
    except Exception as error:  # whatever the hub and its HTTP client raise, which changes between versions
        raise UserError(f"push {model}: the hub refuses, or cannot be reached ({reason(error)}); {_LOGIN}") from None
    return str(done)

"""The command `models ENCODER [FOLDER]`: fetch a pre-trained encoder beforehand, convert its weights, check it.

It is the only place where files of an encoder are downloaded; no job does.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from avpretext.errors import UserError, nearest
from avpretext.options.pretrained_encoders import KNOWN, EncoderOptions
from avpretext.shards import atomic_path
from avpretext.sound import encoder_files
from avpretext.sound.encoder_files import CONFIG, PICKLED, WEIGHTS

FETCHED = ("config.json", "preprocessor_config.json", "processor_config.json", "*.safetensors*")
"""Files that are downloaded; pickled weights only where there are no others."""


def run(name: str, options: EncoderOptions | None, folder: Path | None, convert: bool) -> str:
    """Fetch an encoder unless it is there, check it, and return what it is and how the configuration names it.

    Parameters
    ----------
    name
        Of the encoder in the configuration, or of one of `KNOWN`.
    options
        What the configuration says of it; None: nothing.
    folder
        Where its files are or go; None: what the configuration names, else the hub's cache.
    convert
        Whether to write its pickled weights as safetensors first.

    Raises
    ------
    UserError
        It is nowhere, or is no speech model with weights in safetensors.
    """
    if options is None and name not in KNOWN and folder is None:
        raise UserError(
            f"no encoder {name!r} in the configuration{nearest(name, KNOWN)}; known by name are {', '.join(KNOWN)}"
        )
    said = options or EncoderOptions()
    place = folder or (Path(said.folder) if said.folder else None)
    found = place if place is not None and (place / CONFIG).is_file() else _fetched(name, said, place)
    if convert:
        to_safetensors(found)
    return _described(name, said, found, in_cache=place is None)


def _described(name: str, options: EncoderOptions, folder: Path, in_cache: bool) -> str:
    """Open an encoder, and return what is to be known of it."""
    from avpretext.sound.encoder_model import SpeechEncoder

    files = encoder_files.look_at(name, folder, f"models {name}")
    model = SpeechEncoder(files, options.model_copy(update={"device": "cpu", "layers": "all"}))
    said = f"hub: {encoder_files.hub_name(name, options)}" if in_cache else f"folder: {json.dumps(str(folder))}"
    return (
        f"{files.folder}: {files.kind}, {len(model.layers)} layers of {model.size} numbers (0 to {model.layers[-1]})\n"
        f"SHA-256 of its weights: {encoder_files.sha256_of_weights(model.digests)}\n"
        f"In the configuration:   encoders: {{{name}: {{{said}}}}}"
    )


def _fetched(name: str, options: EncoderOptions, folder: Path | None) -> Path:
    """Download the files of an encoder into a folder, or into the hub's cache, and return where they are."""
    import huggingface_hub

    api = huggingface_hub.HfApi()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # else a warning for each attempt without network
    hub = encoder_files.hub_name(name, options)
    where: dict[str, Any] = {"repo_id": hub, "revision": options.revision, "local_dir": folder}
    try:
        files = api.list_repo_files(hub, revision=options.revision)
        pickled = not any(file.endswith(".safetensors") for file in files)
        wanted = [*FETCHED, *(PICKLED[:1] if pickled else ())]
        return Path(huggingface_hub.snapshot_download(**where, allow_patterns=wanted))
    except Exception as error:  # whatever the hub and its HTTP client raise, which changes between versions
        cached = None if folder else encoder_files.cached(hub, options.revision)
        if cached is not None and (cached / CONFIG).is_file():
            return cached
        raise UserError(
            f"{hub} ({options.revision}) cannot be fetched: {' '.join(str(error).split())[:200]}; with network"
            f" elsewhere run `avpretext models {name} FOLDER`, copy FOLDER here, and set encoders.{name}.folder"
        ) from None


def to_safetensors(folder: Path) -> None:
    """Write the pickled weights in a folder as safetensors; they are read as numbers alone, and run no code.

    Raises
    ------
    UserError
        There are none, or they hold more than numbers.
    """
    import pickle

    import torch
    from safetensors.torch import save_file

    if (folder / WEIGHTS).is_file():
        return
    file = folder / PICKLED[0]
    if not file.is_file():
        raise UserError(f"{file}: no such file; --convert reads pickled weights of this name")
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError):
        raise UserError(f"{file}: holds more than weights, or is damaged, and is not opened; fetch it again") from None
    entries = state.items() if isinstance(state, Mapping) else ()
    tensors = {name: value.contiguous().clone() for name, value in entries if isinstance(value, torch.Tensor)}
    if not tensors:
        raise UserError(f"{file}: holds no weights by name; fetch it again")
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary, {"format": "pt"})

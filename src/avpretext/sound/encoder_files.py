"""Files of a pre-trained encoder: where they are, and whether they are a speech model, without opening the weights.

Neither torch nor transformers is imported: the workflow looks here at each start.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avpretext.errors import UserError, expect_folder
from avpretext.options.pretrained_encoders import KNOWN, EncoderOptions
from avpretext.programs import command
from avpretext.strangers import TEXT_BYTES, check_file

SAMPLE_RATE_HZ = 16_000
"""As in `chunks`, which imports numpy: not before a command has set its limit of threads."""

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
PREPROCESSORS = ("preprocessor_config.json", "processor_config.json")
SAMPLES, BLOCK = 256, 4096
"""Places in a file that `EncoderFiles.fingerprint` reads, and bytes of each."""

MOST_LAYERS, MOST_NUMBER = 1000, 10_000_000
"""In the configuration of an encoder: layers, heads and groups of convolutions; any other number."""

_LAYERS = ("num_hidden_layers", "encoder_layers")

PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True)
class EncoderFiles:
    """The files of an encoder.

    Attributes
    ----------
    name
        Of the encoder in the configuration.
    folder
        Where they are.
    kind
        `model_type` of its configuration, such as `wavlm`.
    weights
        safetensors files, sorted by name.
    beside
        Configuration of model and feature extractor.
    """

    name: str
    folder: Path
    kind: str
    weights: list[Path]
    beside: list[Path]

    @property
    def all(self) -> list[Path]:
        """Every file that shapes what the encoder computes."""
        return [*self.beside, *self.weights]

    @property
    def megabytes(self) -> float:
        """Size of the weights, in MB."""
        return sum(file.stat().st_size for file in self.weights) / 1e6

    def fingerprint(self) -> str:
        """Return what changes with the content of the files, wherever they lie: quick, for each start of a run.

        Of the weights their sizes and `SAMPLES` places are read, so that a change of a part of them as long as a tensor
        is seen. The stage itself reads them whole.
        """
        digest = hashlib.sha256()
        for file in self.all:
            digest.update(f"{file.name} {file.stat().st_size} ".encode())
            digest.update(_sampled(file))
        return digest.hexdigest()[:32]

    def sha256(self) -> dict[str, str]:
        """Return the SHA-256 of each file by its name."""
        return {file.name: _sha256(file) for file in self.all}


def sha256_of_weights(digests: Mapping[str, str]) -> str:
    """Return one SHA-256 for the weights: of a single file its own, of several that of the lines `name digest`."""
    found = {name: digest for name, digest in digests.items() if name.endswith(".safetensors")}
    if len(found) == 1:
        return next(iter(found.values()))
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(found.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def find(name: str, options: EncoderOptions) -> EncoderFiles:
    """Return the files of an encoder of the configuration, checked as far as their configurations tell.

    Raises
    ------
    UserError
        They are not there, are no speech model for 16 kHz, or hold pickled weights alone.
    """
    if options.folder is not None:
        return look_at(name, Path(options.folder), f"encoders.{name}.folder")
    hub = hub_name(name, options)
    folder = cached(hub, options.revision)
    if folder is None:
        raise UserError(
            f"encoders.{name}: {hub} ({options.revision}) is not in the hub's cache, {cache_folder()}; nothing is"
            f" downloaded in a job: run `{command(f'avpretext models {name}')}` where there is network, or set"
            f" encoders.{name}.folder"
        )
    return look_at(name, folder, f"encoders.{name}.hub")


def hub_name(name: str, options: EncoderOptions) -> str:
    """Return the name of the model on the hub."""
    if (hub := options.hub or KNOWN.get(name)) is None:
        raise UserError(
            f"encoders.{name}: neither `folder` nor `hub` says where its weights are; only {', '.join(KNOWN)} are known"
            " by name"
        )
    return hub


def cache_folder() -> Path:
    """Return the folder of the hub's cache, as `huggingface_hub` finds it."""
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")).expanduser()


def cached(hub: str, revision: str) -> Path | None:
    """Return the folder of a model in the hub's cache; None if it is not there."""
    place = _cached_place(hub)
    reference = place / "refs" / revision
    commit = reference.read_text("utf-8").strip() if reference.is_file() else revision
    folder = place / "snapshots" / commit
    return folder if folder.is_dir() else None


def _cached_place(hub: str) -> Path:
    return cache_folder() / f"models--{hub.replace('/', '--')}"


def cached_as(hub: str, digests: Mapping[str, str]) -> Path | None:
    """Return the folder of a model in the hub's cache whose files have these SHA-256, of whatever revision.

    Where none has them it is that of revision `main`, or another; None if the model is not there.
    """
    main, others = cached(hub, "main"), sorted((_cached_place(hub) / "snapshots").glob("*/"))
    folders = list(dict.fromkeys([*([main] if main else []), *others]))
    if len(folders) < 2:
        return next(iter(folders), None)
    return next((folder for folder in folders if _holds(folder, digests)), folders[0])


def _holds(folder: Path, digests: Mapping[str, str]) -> bool:
    small = sorted(digests, key=lambda name: name.endswith(".safetensors"))  # weights last, they take long
    return all((folder / name).is_file() and _sha256(folder / name) == digests[name] for name in small)


def look_at(name: str, folder: Path, said: str) -> EncoderFiles:
    """Return the files in a folder; `said` is the option that names it, for messages.

    Raises
    ------
    UserError
        See `find`.
    """
    where = f"{said} = '{folder}'"
    expect_folder(folder, "expected one with the files that `save_pretrained` writes", where)
    if not (folder / CONFIG).is_file():
        raise UserError(
            f"{where}: no {CONFIG}, so no model of transformers; name the folder that `save_pretrained` wrote"
        )
    kind = str(_json(folder / CONFIG).get("model_type"))
    extractor = _extractor(folder)
    if extractor is None:
        raise UserError(
            f"{where}: a model of type {kind!r} without feature extractor ({PREPROCESSORS[0]}): it takes no sound;"
            " name a speech model, or put the file beside it"
        )
    if (rate := extractor.get("sampling_rate", SAMPLE_RATE_HZ)) != SAMPLE_RATE_HZ:
        raise UserError(f"{where}: a model for sound at {rate} Hz; avpretext's is at {SAMPLE_RATE_HZ} Hz: name another")
    beside = [folder / file for file in (CONFIG, *PREPROCESSORS) if (folder / file).is_file()]
    weights = _weights(folder, where, name)
    _check_sizes(folder / CONFIG, sum(file.stat().st_size for file in weights))
    return EncoderFiles(name, folder, kind, weights, beside)


def _check_sizes(file: Path, weights_bytes: int) -> None:
    """Raise where a model would be far larger than its weights: it is built before they are read."""
    described = _json(file)
    for key, value in described.items():
        for number in value if isinstance(value, list) else [value]:
            many = "layer" in key or "heads" in key or "groups" in key
            most = MOST_LAYERS if many else MOST_NUMBER
            if isinstance(number, int | float) and not isinstance(number, bool) and not abs(number) <= most:
                raise UserError(f"{file}: {key} = {number:g}: at most {most} may be; name another model")
    width, layers = (_number(described, *keys) for keys in (("hidden_size", "d_model"), _LAYERS))
    if 4 * width * width * layers > 2 * weights_bytes:  # a layer's attention alone has 4 width^2 weights, of 2 bytes
        raise UserError(
            f"{file}: {layers} layers of width {width} are more than its weights of {weights_bytes} bytes hold; fetch"
            " the model again"
        )


def _number(described: Mapping[str, Any], *keys: str) -> int:
    found = next((described[key] for key in keys if key in described), 0)
    return found if isinstance(found, int) else 0


def _extractor(folder: Path) -> Mapping[str, Any] | None:
    """Return the settings of the feature extractor; None if there is none."""
    for file in PREPROCESSORS:
        if not (folder / file).is_file():
            continue
        found = _json(folder / file)
        found = found.get("feature_extractor", found)
        if "feature_extractor_type" in found or "sampling_rate" in found:
            settings: Mapping[str, Any] = found
            return settings
    return None


def _weights(folder: Path, where: str, name: str) -> list[Path]:
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        parts = [folder / part for part in sorted(set(_json(folder / INDEX).get("weight_map", {}).values()))]
        if missing := [part.name for part in parts if not part.is_file()]:
            raise UserError(f"{where}: no {missing[0]}, which {INDEX} names; fetch the folder again")
        return parts
    if any((folder / file).is_file() for file in PICKLED):
        raise UserError(
            f"{where}: pickled weights alone ({PICKLED[0]}), which may run code and are not opened; convert them once:"
            f" {command(f'avpretext models {name} {folder} --convert')}"
        )
    raise UserError(f"{where}: no weights ({WEIGHTS}); fetch the model again")


def _json(file: Path) -> dict[str, Any]:
    check_file(file, TEXT_BYTES, "fetch the model again")
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{file}: cannot be read as JSON; fetch the model again")
    return found


def check_sha256(files: EncoderFiles, digests: Mapping[str, str], expected: str | None, said: str) -> None:
    """Raise where the weights are not those that are expected."""
    found = sha256_of_weights(digests)
    if expected is not None and found != expected.lower():
        raise UserError(
            f"{files.folder}: the SHA-256 of its weights is {found}, and {said} expects {expected}: name the folder of"
            " those weights"
        )


def _sampled(path: Path) -> bytes:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= SAMPLES * BLOCK:
            return file.read()
        parts = []
        for place in range(SAMPLES):
            file.seek(place * (size - BLOCK) // (SAMPLES - 1))
            parts.append(file.read(BLOCK))
        return b"".join(parts)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Weights that others published: files opened without running code, and what a file is that holds none."""

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from avpretext.errors import UserError, expect_file
from avpretext.training import finite

EXPECTED = "expected PyTorch weights (.pth.tar, .pt), as torch.save writes them"

_STARTS = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes its weights (.h5) and MATLAB its tables"),
    (b"version https://git-lfs", "a Git LFS pointer, in place of the file: fetch it with git lfs pull"),
    (b"MATLAB 5.0 MAT-file", "a MATLAB file (.mat)"),
    (b"\x93NUMPY", "a NumPy array (.npy)"),
)
_ENTRIES = (
    ("model.weights.h5", "a Keras model (.keras)"),
    (".npy", "NumPy arrays (.npz)"),
    ("constants.pkl", "a TorchScript program, which holds code"),
)
_PAGES = (b"<!doctype", b"<html", b"<?xml")
_WRAPPED = ("state_dict", "model_state_dict")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the state dict in a published `.pth.tar` file, on the CPU.

    Nothing in the file is run: PyTorch's reader takes tensors and plain containers alone (`weights_only`). A state dict
    may lie below `state_dict`, beside `arch` and the like. The part `module` of a name, which training on several GPUs
    leaves there, is taken out.

    Raises
    ------
    UserError
        The file is missing, holds anything but named tensors, or numbers that are not finite.
    """
    expected = "expected published weights, such as LSTM_..._RnnAttenVec_Act.pth.tar"
    expect_file(path, expected, (".pth.tar", ".pth", ".pt"))
    content = _load(path)
    if isinstance(content, Mapping):
        content = next((content[key] for key in _WRAPPED if isinstance(content.get(key), Mapping)), content)
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"{path}: holds more than named tensors; expected a state dict, as torch.save writes it")
    weights = {re.sub(r"(^|\.)module\.", r"\1", str(name)): value for name, value in content.items()}
    finite.check_weights(weights, str(path), "take the file again from where it was published")
    return weights


def _load(path: Path) -> Any:
    if what := _other_kind(path):
        raise UserError(f"{path}: is {what}; {EXPECTED}")
    try:
        with warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if found := re.search(r"GLOBAL (\S+)", str(error)):
            reason = f"holds code or objects beside tensors ({found[1]}), which are not loaded"
        else:
            reason = "no file of PyTorch weights"
        raise UserError(f"{path}: {reason}; {EXPECTED}") from None
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else "empty or cut off"
        raise UserError(f"{path}: no file of PyTorch weights ({reason}); {EXPECTED}") from None


def _other_kind(path: Path) -> str | None:
    """Return what a file is by its first bytes, or the names in its archive; None where neither tells."""
    try:
        with path.open("rb") as file:
            start = file.read(512)
        names = zipfile.ZipFile(path).namelist() if start.startswith(b"PK\x03\x04") else []
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except zipfile.BadZipFile:
        return "a damaged archive: take the file again from where it was published"
    if start.lstrip().lower().startswith(_PAGES):
        return "a web page, in place of the file: download the file itself"
    known = [what for mark, what in _STARTS if start.startswith(mark)]
    known += [what for end, what in _ENTRIES if any(name.endswith(end) for name in names)]
    return known[0] if known else None

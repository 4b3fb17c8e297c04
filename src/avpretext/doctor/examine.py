"""`avpretext doctor`: every check in turn."""

import json
from pathlib import Path

from rich.console import Console

from avpretext.doctor import hardware, needs
from avpretext.doctor.check import Check, as_json, failed, show


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
    config, configuration = needs.configuration(config_file)
    return [
        hardware.python(),
        hardware.packages(),
        hardware.system_libraries(),
        hardware.workflow(),
        needs.ffmpeg_program(config.split.ffmpeg),
        configuration,
        *needs.corpora(config),
        needs.face_model(config),
        hardware.disk(Path(config.results)),
        hardware.power(hardware.cores(), hardware.memory_gb()),
        hardware.gpu(needs.gpu_wanted(config)),
        hardware.slurm(),
        needs.pyfeat(config.action_units.pyfeat, config.action_units.backend == "pyfeat"),
        hardware.voices(needs.speaks(config)),
    ]

"""`avpretext doctor`: every check in turn."""

import json
from pathlib import Path

from rich.console import Console

from avpretext.doctor import machine, needs
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
        machine.python(),
        machine.packages(),
        machine.system_libraries(),
        machine.workflow(),
        needs.ffmpeg_program(config.split.ffmpeg),
        configuration,
        *needs.corpora(config),
        needs.face_model(config),
        machine.disk(Path(config.results)),
        machine.power(machine.cores(), machine.memory_gb()),
        machine.gpu(needs.gpu_wanted(config)),
        machine.slurm(),
        needs.pyfeat(config.action_units.pyfeat, config.action_units.backend == "pyfeat"),
        machine.voices(needs.speaks(config)),
    ]

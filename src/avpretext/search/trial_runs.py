"""A trial: a run of the workflow on a changed configuration, in a folder of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from avpretext import checkout
from avpretext.config import Config
from avpretext.run.plan import Plan

Targets = dict[tuple[str, str], Path]
"""Predictions of a trial by corpus and setting."""


def targets(config: Config, start: str) -> Targets:
    """Return what is fine-tuned from an initialisation, for every corpus and setting."""
    plan = Plan(config)
    return {
        (corpus, setting): Path(plan.tuned(corpus, setting, config.variant, [start])[0])
        for corpus in config.used_for("finetune")
        for setting in plan.settings[corpus]
    }


def make(config: Path, wanted: Targets, cores: int, log: Path) -> bool:
    """Run the workflow up to some predictions, and tell whether it came to its end; its messages go to `log`."""
    snakefile = checkout.part("workflow") / "Snakefile"
    words = ["--snakefile", snakefile, *wanted.values(), "--cores", cores, "--configfile", config]
    command = [sys.executable, "-m", "snakemake", *map(str, words)]
    with log.open("w", encoding="utf-8") as told:
        return subprocess.run(command, stdout=told, stderr=told, check=False).returncode == 0


def link(shared: Path, folder: Path, config: Config) -> None:
    """Let results begin with what others have of corpora and pre-trainings; what is there already stays.

    The recipe of each file tells the workflow whether it fits. They are hard links: no file is ever changed in place,
    so neither folder changes the other.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for top in sorted(shared.iterdir()):
        if top.name not in ("models", "pretrain") and top.name.partition("@")[0] not in config.corpora:
            continue
        for file in sorted(path for path in top.rglob("*") if path.is_file()):
            place = folder / file.relative_to(shared)
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(file, place)
                except OSError:  # a file system without such links
                    shutil.copy2(file, place)

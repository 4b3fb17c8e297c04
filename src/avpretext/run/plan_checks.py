"""Options that are valid alone but not together."""

import itertools
from collections.abc import Iterator, Mapping

from avpretext.config import Config, Variant
from avpretext.corpora.settings import Setting
from avpretext.errors import UserError, nearest
from avpretext.systems import DEEPEMOCLUSTER

Settings = Mapping[str, Mapping[str, Setting]]
"""The settings of each corpus, by their names."""


def check_penalty(config: Config, settings: Settings, ablated: Settings) -> None:
    """Raise when the penalty loss is asked for where nobody has voted, or where it alone asks for no label."""
    options = config.finetune
    alone = options.penalty.sum == "pair" and options.penalty.beta == 0
    for corpus, name, setting, variants in _trained(config, settings, ablated):
        if alone and setting.kind == "multi_label" and any(variant.loss == "penalty" for variant in variants):
            raise UserError(
                f"finetune.penalty: {corpus}/{name} with beta: 0 and sum: pair asks for no label at all: set beta"
                " above 0, or sum: class"
            )
        if options.loss == "penalty" and not setting.votes and name in settings[corpus]:
            raise UserError(
                f"finetune.loss: penalty needs raters' votes, and the target {setting.target!r} of {corpus} has"
                f" none: choose a voted target in corpora.{corpus}.targets, or finetune.loss: base"
            )


def check_smoothing(config: Config, settings: Settings, ablated: Settings) -> None:
    """Raise where labels that are smooth already would be smoothed again."""
    for corpus, _, setting, _ in _trained(config, settings, ablated):
        if setting.target.endswith("-smoothed") and config.finetune.label_smoothing:
            raise UserError(
                f"finetune.label_smoothing = {config.finetune.label_smoothing:g}: the target {setting.target!r} of"
                f" {corpus} is smooth already: set finetune.label_smoothing: 0"
            )


def _trained(
    config: Config, settings: Settings, ablated: Settings
) -> Iterator[tuple[str, str, Setting, list[Variant]]]:
    """Yield corpus, name and setting of everything that is fine-tuned for, and with which variants."""
    for corpus in config.corpora:
        for name, setting in settings[corpus].items():
            yield corpus, name, setting, [config.variant]
        for name, setting in ablated[corpus].items():
            yield corpus, name, setting, config.ablated(setting.votes)


def check_ensembles(config: Config) -> None:
    """Raise when a member of an ensemble is not trained."""
    machines = [machine.name for machine in config.baseline.machines()]
    clustered = [DEEPEMOCLUSTER[variant] for variant in config.deepemocluster.variants]
    trained = [*config.initialisations(), *machines, *clustered]
    for member in itertools.chain(*config.ensemble.members):
        if member not in trained:
            raise UserError(f"ensemble.members: {member!r} is none of {', '.join(trained)}{nearest(member, trained)}")


def check_silent(config: Config) -> None:
    """Raise where faces alone are to be read of a corpus that is not used for labels."""
    for name, corpus in config.corpora.items():
        if not corpus.audio and "pretrain" not in corpus.use:
            raise UserError(f"corpora.{name}.audio: false: faces are labelled for pre-training: set use: [pretrain]")


def check_machines(machines: int, is_here: bool, variables: Mapping[str, str]) -> None:
    """Raise where a training is shared by several machines, and jobs run on this one alone (`is_here`).

    `variables` is the environment: a job of Slurm has several machines, and starts a training on each.
    """
    if machines > 1 and is_here and "SLURM_JOB_ID" not in variables:
        raise UserError(
            f"encoder.machines: {machines}, and jobs run on this machine: use --workflow-profile"
            " workflow/profiles/slurm, or set encoder.machines: 1"
        )


def check_pretrainings(config: Config) -> None:
    """Raise where the runs of a fold cannot start from each pre-training equally often."""
    counts = {"pretrain.seeds": config.pretrainings} if config.task_sets() else {}
    counts |= {f"finetune.checkpoints.{name}": len(config.checkpoints_of(name)) for name in config.finetune.checkpoints}
    for name, count in counts.items():
        if config.used_for("finetune") and (not count or config.finetune.seeds % count):
            raise UserError(
                f"finetune.seeds: {config.finetune.seeds} runs per fold cannot start from {count} pre-trainings"
                f" ({name}) equally often: make finetune.seeds a multiple of {count or 1}, or {name} one"
            )

"""The plan of `snakemake upstreams`: what each upstream is trained with, and which trainings several of them share.

A training whose options are those of another is not done twice: an upstream with the options of the configuration
itself has the main table's systems, one that differs in its fine-tuning alone starts from the same pre-trainings, and
one that differs in its pre-training alone is the same from scratch.
"""

from avpretext.config import Config, Variant
from avpretext.config_file import as_upstream
from avpretext.errors import UserError
from avpretext.run.plan import Plan
from avpretext.run.signature import signature
from avpretext.systems import SCRATCH


class UpstreamPlan:
    """The plans of all upstreams beside that of the configuration itself.

    Parameters
    ----------
    plan
        The plan of the configuration.

    Raises
    ------
    UserError
        An upstream has options that do not fit together, or is trained as another is.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._plans = {"": plan}
        self._configs = {"": plan.config}
        self._wrong: str | None = None
        self.variants: dict[str, Variant] = {}
        """Name of an upstream: the variant that is trained for it."""
        try:
            for name in plan.config.compared_upstreams():
                self.variants[name] = self._own(name, self._variant(name))
        except UserError as error:
            if plan.config.upstreams:
                raise
            # Nobody has named upstreams: other targets do without them.
            self._plans, self._configs = {"": plan}, {"": plan.config}
            self.variants, self._wrong = {}, str(error)

    def _variant(self, name: str) -> Variant:
        """Return the variant of an upstream; keep its plan unless another has the same trainings."""
        config = as_upstream(self.plan.config, name)
        self._configs[name] = config
        upstream = next((other for other, plan in self._plans.items() if _tunes_as(config, plan.config)), name)
        pretrained = next((other for other, plan in self._plans.items() if _pretrains_as(config, plan.config)), name)
        if upstream == name:
            try:
                self._plans[name] = Plan(config)
            except UserError as error:
                raise UserError(f"upstreams.{name}: {error}") from None
        return config.variant._replace(upstream=upstream, pretrained=pretrained)

    def _own(self, name: str, variant: Variant) -> Variant:
        """Return a variant unless another upstream has it: a system compared with itself counts as a comparison."""
        for other, known in self.variants.items():
            if known == variant:
                raise UserError(
                    f"upstreams.{name}: trained as upstreams.{other} is, so that its systems would be compared with"
                    " themselves; give it other options, or leave it out"
                )
        return variant

    def of(self, variant: Variant) -> Plan:
        """Return the plan by whose options a variant is trained."""
        return self._plans[variant.upstream]

    def starts(self, name: str) -> list[str]:
        """Return the initialisations of an upstream: scratch, which is the upstream alone, and its sets of tasks."""
        return self._configs[name].initialisations()

    def systems(self) -> dict[tuple[str, str], Variant]:
        """Return {(upstream, initialisation): the variant that is trained}, the reference first.

        Raises
        ------
        UserError
            There is nothing to compare.
        """
        nothing = (
            "upstreams: nothing to compare: name a pre-trained encoder in `encoders` (pool: chunks or clip), or the"
            " upstreams in `upstreams`"
        )
        if not self.variants:
            raise UserError(self._wrong or nothing)
        return {(name, start): self._trained(name, start) for name in self.variants for start in self.starts(name)}

    def _trained(self, name: str, start: str) -> Variant:
        """Return the variant of a system: from scratch that of the first upstream which is fine-tuned alike."""
        if start != SCRATCH:
            return self.variants[name]
        own = _signed("finetune", self._configs[name])
        first = next(other for other in ("", *self.variants) if _signed("finetune", self._configs[other]) == own)
        return self.variants.get(first, self.plan.config.variant)

    def predictions(self) -> list[str]:
        """Return the predictions of every upstream and initialisation, and of what stands beside them.

        Raises
        ------
        UserError
            There is nothing to compare, or the files of an encoder are missing.
        """
        systems = self.systems()
        for name in sorted({name for plan in self._plans.values() for name in plan.encoders}):
            self.plan.encoder_files(name)
        found = []
        for corpus, settings in self.plan.settings.items():
            for setting in settings:
                for (_, start), variant in systems.items():
                    found += self.plan.tuned(corpus, setting, variant, [start])
                found += self.plan.beside(corpus, setting)
        return list(dict.fromkeys(found))

    # What wildcards may be.

    def speeds(self) -> list[str]:
        """Return every speed at which any upstream hears a corpus."""
        return list(dict.fromkeys(speed for plan in self._plans.values() for speed in plan.speeds()))

    def task_sets(self) -> list[str]:
        """Return every set of tasks that any upstream is pre-trained on."""
        return list(dict.fromkeys(tasks for config in self._configs.values() for tasks in config.task_sets()))

    def initialisations(self) -> list[str]:
        """Return every initialisation of any upstream."""
        return list(dict.fromkeys(name for config in self._configs.values() for name in config.initialisations()))


def _pretrains_as(one: Config, other: Config) -> bool:
    """Tell whether pre-trainings by two configurations are the same."""
    return _signed("pretrain", one) == _signed("pretrain", other)


def _tunes_as(one: Config, other: Config) -> bool:
    """Tell whether fine-tunings by two configurations are the same, and start from the same."""
    same = _signed("finetune", one) == _signed("finetune", other)
    return same and _pretrains_as(one, other) and one.finetune.checkpoints == other.finetune.checkpoints


def _signed(stage: str, config: Config) -> str:
    return signature(stage, config.as_variant(config.variant))

"""Inputs and outputs of the orofacial rules."""

import os
import shlex
from pathlib import Path

from avpretext.corpora import target_name, targets_of
from avpretext.corpora.settings import kind_of
from avpretext.errors import UserError
from avpretext.flow.artefacts import STAGES, stage_of
from avpretext.flow.paths import expand
from avpretext.flow.result_tables import OROFACIAL_TABLES
from avpretext.programs import command
from avpretext.run.plan import Keyed, Plan

SHOWN = ("predictions", "clips", "history")
"""What tables and page are made from, of each system."""


class OrofacialPlan:
    """The orofacial artefacts of a configuration."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.config, self.layout = plan, plan.config, plan.layout
        self.corpora = self.config.orofacial_corpora()

    def checked(self) -> "OrofacialPlan":
        """Return this plan; it is an error if no corpus has faces, or if landmarks are too few."""
        if not self.corpora:
            raise UserError(
                "orofacial: no corpus has faces to move; it needs one with `use: [pretrain]`, video and sound"
            )
        if self.config.landmarks.points != "all":
            raise UserError("orofacial: lips, jaw and cheeks need all landmarks: set landmarks.points: all")
        return self

    def features(self) -> Keyed:
        """Return {corpus.feature: all files} of what the models hear."""
        found = {}
        for corpus in self.checked().corpora:
            own = self.config.corpora[corpus].features
            for name in self.config.orofacial.features:
                files = list(map(str, expand(own[name]))) if name in own else self.plan.shards(corpus, name)
                found[f"{corpus}.{name}"] = files
        return found

    def of_corpora(self, artefact: str) -> Keyed:
        """Return {corpus: files} of an artefact; of phones none where no visemes are asked for."""
        wanted = stage_of(artefact) != "phones" or self.config.orofacial.weights.viseme > 0
        return self.plan.of_corpora(artefact, self.corpora) if wanted else {}

    def emotions(self) -> Keyed:
        """Return {corpus: table of emotions}: its pseudo-labels, or its first target, if that is one class."""
        if not self.config.orofacial.weights.emotion:
            return {}
        if self.config.orofacial.emotion == "pseudo":
            return self.plan.of_corpora("labels_emotion", self.corpora)
        return {
            corpus: [self.layout.path("targets", corpus=corpus, target=target_name(options, targets_of(options)[0]))]
            for corpus, options in ((name, self.config.corpora[name]) for name in self.corpora)
            if "finetune" in options.use and kind_of(options, targets_of(options)[0]) == "hard"
        }

    def of_systems(self, *parts: str) -> list[str]:
        """Return files of every system."""
        return [
            self.layout.path(f"orofacial_system.{part}", system=system)
            for system in self.config.orofacial.systems
            for part in parts
        ]

    def of_system(self) -> dict[str, str]:
        """Return the files of a system, `{system}` being a wildcard, by what they are."""
        return {part: self.layout.path(f"orofacial_system.{part}") for part in STAGES["orofacial_system"].writes}

    def tables(self) -> list[str]:
        """Return the files of the tables."""
        return self.plan.named_tables(OROFACIAL_TABLES)

    def next_steps(self) -> list[str]:
        """Return what a user can try after `snakemake orofacial`, in lines."""
        model = os.path.dirname(self.layout.path("orofacial_system.model", system=self.config.orofacial.shown_system))
        animate = command(f"avpretext animate {shlex.quote(model)} SPEECH.wav")
        films = [f"Films:   {folder}" for folder in self.films()]
        return [*films, f"Model:   {model}", f"Animate: {animate}   (any file with speech)"]

    def films(self) -> list[str]:
        """Return the folder of films, as a list of none or one."""
        wanted = self.config.orofacial.films and self.config.orofacial.film_system in self.config.orofacial.systems
        return [str(Path(self.layout.path("film")))] if wanted else []

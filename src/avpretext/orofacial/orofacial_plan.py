"""What orofacial models are made from, and what is made of them; the rules of the workflow ask here."""

from pathlib import Path

from avpretext.corpora import target_name, targets_of
from avpretext.corpora.settings import kind_of
from avpretext.errors import UserError
from avpretext.flow.paths import expand
from avpretext.run.plan import Plan

SHOWN = ("predictions", "clips", "history")
"""What tables and page are made from, of each system."""

TABLES = ("orofacial.csv", "orofacial.md", "orofacial_comparisons.csv", "orofacial_left_out.csv")


class OrofacialPlan:
    """The orofacial artefacts of a configuration.

    Parameters
    ----------
    plan
        Of the whole configuration.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.config, self.layout = plan, plan.config, plan.layout
        self.corpora = self.config.orofacial_corpora()

    def checked(self) -> "OrofacialPlan":
        """Return this plan.

        Raises
        ------
        UserError
            No corpus has faces, or landmarks are too few.
        """
        if not self.corpora:
            raise UserError("orofacial: no corpus has faces to move; it needs one with `use: [pretrain]` and video")
        if self.config.landmarks.points != "all":
            raise UserError("orofacial: lips, jaw and cheeks need all landmarks: set landmarks.points: all")
        return self

    def results(self) -> dict[str, str]:
        """Return the files of a system, `{system}` being a wildcard, by their names."""
        return {Path(name).stem: self.layout.orofacial("{system}", name) for name in RESULTS}

    def predictions(self) -> list[str]:
        """Return the predictions of all systems."""
        return [self.layout.orofacial(system, name) for system in self.config.orofacial.systems for name in RESULTS[:3]]

    def models(self) -> list[str]:
        """Return the descriptions of the models that are kept."""
        return [self.layout.path("orofacial_system.model", system=system) for system in self.config.orofacial.systems]

    def tables(self) -> list[str]:
        """Return the tables."""
        return [self.layout.path("tables", table=name) for name in TABLES]

    def films(self) -> list[str]:
        """Return the folder of films, as a list of none or one."""
        wanted = self.config.orofacial.films and self.config.orofacial.film_system in self.config.orofacial.systems
        return [str(self.layout.folder / "orofacial" / "films")] if wanted else []

    def files(self) -> list[str]:
        """Return every file that the training reads."""
        rejects = [self.layout.path("rejects", corpus=corpus) for corpus in self.corpora]
        return [file for _, _, files in self._inputs() for file in files] + rejects

    def arguments(self) -> list[tuple[str, str]]:
        """Return the options of the command, (name, value), that name these files."""
        return [(option, value) for option, value, _ in self._inputs()]

    def _inputs(self) -> list[tuple[str, str, list[str]]]:
        """Return each input of the training: option of the command, its value, the files."""
        options, plan, found = self.config.orofacial, self.plan, list[tuple[str, str, list[str]]]()

        def add(corpus: str, option: str, stage: str) -> None:
            found.append((option, f"{corpus}={plan.shard_set(corpus, stage)}", plan.shards(corpus, stage)))

        for corpus in self.corpora:
            own = self.config.corpora[corpus].features
            for name in options.features:
                value, files = (
                    (own[name], [str(path) for path in expand(own[name])])
                    if name in own
                    else (plan.shard_set(corpus, name), plan.shards(corpus, name))
                )
                found.append(("features", f"{corpus}.{name}={value}", files))
            add(corpus, "movement", "lower_face")
            add(corpus, "index", plan.clips(corpus))
            shape = self.layout.path("resting_shape", corpus=corpus)
            found.append(("shape", f"{corpus}={shape}", [shape]))
            if options.weights.viseme:
                add(corpus, "phones", "phones")
        found += [("emotions", f"{corpus}={table}", [table]) for corpus, table in self.emotions().items()]
        return found + ([("checkpoint", options.checkpoint, [options.checkpoint])] if options.checkpoint else [])

    def emotions(self) -> dict[str, str]:
        """Return {corpus: table of emotions}: its pseudo-labels, or its first target, if that is one class."""
        if not self.config.orofacial.weights.emotion:
            return {}
        if self.config.orofacial.emotion == "pseudo":
            return {corpus: self.layout.path("labels_emotion", corpus=corpus) for corpus in self.corpora}
        learnt = {name: self.config.corpora[name] for name in self.corpora}
        first = {name: targets_of(corpus)[0] for name, corpus in learnt.items() if "finetune" in corpus.use}
        return {
            name: self.layout.path("targets", corpus=name, target=target_name(learnt[name], target))
            for name, target in first.items()
            if kind_of(learnt[name], target) == "hard"
        }

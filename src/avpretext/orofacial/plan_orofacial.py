"""What orofacial models are made from, and what is made of them; the rules of the workflow ask here."""

from collections.abc import Mapping
from pathlib import Path

from avpretext.config import CorpusOptions
from avpretext.corpora import target_name, targets_of
from avpretext.corpora.settings import kind_of
from avpretext.errors import UserError
from avpretext.flow.paths import expand
from avpretext.orofacial.table_names import TABLES
from avpretext.run.plan import Plan

RESULTS = ("predictions.parquet", "clips.parquet", "history.parquet", "model/model.json", "model/weights.safetensors")
"""Files of each system."""


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
        """Return the files of a system, `{system}` being a wildcard, by what they are."""
        return {Path(name).stem: self.layout.orofacial("{system}", name) for name in RESULTS}

    def predictions(self) -> list[str]:
        """Return the predictions of all systems."""
        return [
            self.layout.orofacial(system, name)
            for system in self.config.orofacial.systems
            for name in ("predictions.parquet", "clips.parquet", "history.parquet")
        ]

    def models(self) -> list[str]:
        """Return the descriptions of the models that are kept."""
        return [self.layout.orofacial(system, "model/model.json") for system in self.config.orofacial.systems]

    def tables(self) -> list[str]:
        """Return the tables."""
        return [self.layout.table(name) for name in TABLES]

    def files(self) -> list[str]:
        """Return every file that the training reads."""
        found = [path for corpus in self.corpora for path in self.feature_files(corpus)]
        for corpus in self.corpora:
            found += self.plan.shards(corpus, "lower_face")
            found += self.plan.shards(corpus, self.plan.clips)
            found += [self.layout.corpus(corpus, "resting_shape"), self.layout.corpus(corpus, "rejects")]
            found += self.plan.shards(corpus, "phones") if self.hears_phones else []
        found += self.emotions().values()
        return found + ([self.config.orofacial.checkpoint] if self.config.orofacial.checkpoint else [])

    @property
    def hears_phones(self) -> bool:
        """Whether visemes are asked."""
        return self.config.orofacial.weights.viseme > 0

    def emotions(self) -> dict[str, str]:
        """Return {corpus: table of emotions}: its pseudo-labels, or its first target, if that is one class."""
        if not self.config.orofacial.weights.emotion:
            return {}
        if self.config.orofacial.emotion == "pseudo":
            return {corpus: self.layout.corpus(corpus, "labels_emotion") for corpus in self.corpora}
        return {
            corpus: self.layout.targets(corpus, target_name(options, targets_of(options)[0]))
            for corpus, options in ((name, self.config.corpora[name]) for name in self.corpora)
            if "finetune" in options.use and _one_class(options)
        }

    def feature_files(self, corpus: str) -> list[str]:
        """Return all files of what the models hear of a corpus."""
        own = self.config.corpora[corpus].features
        return [
            str(path)
            for name in self.config.orofacial.features
            for path in (expand(own[name]) if name in own else self.plan.shards(corpus, name))
        ]

    def arguments(self) -> list[tuple[str, str]]:
        """Return the options of the command, (name, value), that name these files."""
        found: list[tuple[str, str]] = []
        for corpus in self.corpora:
            own: Mapping[str, str] = self.config.corpora[corpus].features
            for name in self.config.orofacial.features:
                shards = own[name] if name in own else self.plan.shard_set(corpus, name)
                found.append(("features", f"{corpus}.{name}={shards}"))
            found.append(("movement", f"{corpus}={self.plan.shard_set(corpus, 'lower_face')}"))
            found.append(("index", f"{corpus}={self.plan.shard_set(corpus, self.plan.clips)}"))
            found.append(("shape", f"{corpus}={self.layout.corpus(corpus, 'resting_shape')}"))
            if self.hears_phones:
                found.append(("phones", f"{corpus}={self.plan.shard_set(corpus, 'phones')}"))
        found += [("emotions", f"{corpus}={table}") for corpus, table in self.emotions().items()]
        return found + ([("checkpoint", self.config.orofacial.checkpoint)] if self.config.orofacial.checkpoint else [])

    def films(self) -> list[str]:
        """Return the folder of films, as a list of none or one."""
        wanted = self.config.orofacial.films and self.config.orofacial.film_system in self.config.orofacial.systems
        return [str(self.layout.results / "orofacial" / "films")] if wanted else []


def _one_class(options: CorpusOptions) -> bool:
    return kind_of(options, targets_of(options)[0]) == "hard"

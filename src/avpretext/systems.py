"""What is compared, and how it is called: the column `initialisation` of predictions, scores and tables.

`scratch`, sets of pretext tasks and checkpoints of the user's own are initialisations of fine-tuning. Beside them stand
support vector machines, linear discriminants, DeepEmoCluster, and ensembles of any of these.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, get_args

SCRATCH = "scratch"

BEST = "best"
"""In `export`: the initialisation whose dev scores are best."""

VECTORS = ("functionals", "statistics")
"""Stages with one vector per clip; a pre-trained encoder of the configuration is another, by its name."""

Kernel = Literal["linear", "rbf"]
Normalisation = Literal["train", "speaker"]


Learner = Kernel | Literal["lda"]
"""The kernel of a support vector machine, or linear discriminant analysis."""

DISCRIMINANT: Final = "lda"


class Machine(NamedTuple):
    """What learns classes of one vector per clip: on which vectors, how, standardised by whose clips."""

    vectors: str
    learner: Learner
    normalise: Normalisation

    @property
    def name(self) -> str:
        """What it is called.

        >>> Machine("functionals", "linear", "train").name, Machine("wavlm", "rbf", "speaker").name
        ('svm', 'svm_wavlm_rbf_speaker')
        >>> Machine("statistics", "lda", "train").name
        'lda_statistics'
        """
        head = DISCRIMINANT if self.learner == DISCRIMINANT else "svm"
        return "_".join([head, *(part for part in self if part not in ("functionals", "linear", "train", head))])


def machine_of(name: str) -> Machine | None:
    """Return the machine of this name; None for another system.

    >>> machine_of("svm_wavlm_rbf"), machine_of("scratch")
    (Machine(vectors='wavlm', learner='rbf', normalise='train'), None)
    >>> machine_of("lda_speaker")
    Machine(vectors='functionals', learner='lda', normalise='speaker')
    """
    head, _, rest = name.partition("_")
    if head not in ("svm", DISCRIMINANT):
        return None
    whole = f"_{rest}" if rest else ""
    by_speaker = whole.removesuffix("_speaker")
    vectors = by_speaker.removesuffix("_rbf").removeprefix("_")
    kernel: Kernel = "rbf" if by_speaker.endswith("_rbf") else "linear"
    learner = DISCRIMINANT if head == DISCRIMINANT else kernel
    return Machine(vectors or "functionals", learner, "speaker" if by_speaker != whole else "train")


DEEPEMOCLUSTER = {"head_trained": "deepemocluster", "as_published": "deepemocluster_as_published"}
"""variant: what it is called."""

OrofacialSystem = Literal["single", "joint", "cascade"]
OROFACIAL_SYSTEMS: tuple[OrofacialSystem, ...] = get_args(OrofacialSystem)
"""How the movement of a face is learnt: each task by itself, beside visemes and emotion, after them."""

TOGETHER = "together:"
"""Before the names of the members of an ensemble."""


def ensemble_name(members: Sequence[str]) -> str:
    """Return what an ensemble is called.

    >>> ensemble_name(["scratch", "svm_speaker"])
    'together:scratch+svm_speaker'
    """
    return TOGETHER + "+".join(members)


def ensembles_of(ensembles: Sequence[Sequence[str]], kind: str) -> list[Sequence[str]]:
    """Return the ensembles that a kind of target can have: machines learn one class of each clip alone.

    >>> ensembles_of([["scratch", "svm"], ["scratch", "energy"]], "distribution")
    [['scratch', 'energy']]
    """
    return [members for members in ensembles if kind == "hard" or not any(machine_of(name) for name in members)]


def stands_beside(name: str) -> bool:
    """Tell whether a system is no initialisation of fine-tuning.

    >>> stands_beside("energy-emotion"), stands_beside("svm"), stands_beside("together:scratch+svm")
    (False, True, True)
    """
    return machine_of(name) is not None or name in DEEPEMOCLUSTER.values() or name.startswith(TOGETHER)

"""Corpora of which faces alone are read (`audio: false`): what is not made of them, in words."""

from avpretext.config import Config
from avpretext.flow.tasks import LABELLED


def sentences(config: Config) -> list[str]:
    """Return, for each corpus with `audio: false`, what is made of it and what is not.

    >>> from avpretext.config_file import parse
    >>> mine = {"path": ".", "use": ["pretrain"], "audio": False}
    >>> sentences(parse({"corpora": {"mine": mine}}))[1]
    'No model is pre-trained: no corpus of `use: [pretrain]` has sound that is read.'
    """
    found = [_sentence(config, name) for name in config.used_for("pretrain") if not config.corpora[name].audio]
    if found and not config.heard_for_pretraining():
        found.append("No model is pre-trained: no corpus of `use: [pretrain]` has sound that is read.")
    return found


def _sentence(config: Config, corpus: str) -> str:
    made = config.tasks_of(corpus)
    there = " and ".join(task for task in LABELLED if task in made)
    return (
        f"{corpus}: its sound is not read (audio: false). Its faces give labels of {there}. It has no speech features"
        f" and no labels of {' and '.join(lacking(config, corpus))}, and no model is trained on its clips."
    )


def lacking(config: Config, corpus: str) -> list[str]:
    """Return the tasks whose labels a corpus does not have because its sound is not read."""
    made = config.tasks_of(corpus)
    return [name for name in LABELLED if name not in made and not config.corpora[corpus].audio]

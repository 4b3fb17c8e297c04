"""The workflow as a module of another one: what Snakemake leaves to the module.

Snakemake calls the handlers of the main Snakefile alone, and moves the inputs and outputs of a module with a prefix,
not the paths that its commands are told.
"""

from collections.abc import MutableMapping
from typing import Any

from avpretext.config import Config

HANDLERS = ("onstart", "onsuccess", "onerror")


def take_prefix(workflow: Any, config: MutableMapping[str, Any]) -> None:
    """Put `prefix` or `replace_prefix` of the module before `results`, which is where all that a run writes is.

    Files of the user's own stay where the configuration says.
    """
    modifier = workflow.modifier.path_modifier
    results = str(config.get("results", Config.model_fields["results"].default))
    moved = modifier.replace_prefix(f"{results}/")
    if moved != f"{results}/":
        config["results"] = moved.rstrip("/")
        workflow.modifier.path_modifier = type(modifier)(None, None, workflow)


def join_handlers(workflow: Any) -> None:
    """Let the handlers that follow be called beside those of the main Snakefile, where this is a module of it."""
    if workflow.modifier.is_main_snakefile():
        return
    for name in HANDLERS:
        _join(workflow, name)


def _join(workflow: Any, name: str) -> None:
    """Let a registration add a handler to those that there are, whoever registers: before it, only the last counted."""
    register, joined = getattr(workflow, name), f"_{name}"

    def registered(handler: Any) -> None:
        before = getattr(workflow, joined)

        def both(log: Any) -> None:
            before(log)
            handler(log)

        register(handler)
        setattr(workflow, joined, both)

    setattr(workflow, name, registered)

"""Every package that the source imports is required, or told with the extra that has it."""

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from avpretext import checkout, extras
from avpretext.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
OUR_OWN = {"avpretext", "snakemake_logger_plugin_avpretext"}
BY_OTHERS = {"pandas", "pydantic_core", "feat"}
"""Modules that come with what is required (pandas with opensmile), or that an environment of its own has (py-feat)."""


def imported() -> set[str]:
    """Return the top-level modules that the source imports, those of Python aside."""
    found = set()
    for path in (REPOSITORY / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - OUR_OWN


def names(requirements: list[str]) -> set[str]:
    return {Requirement(text).name.lower() for text in requirements}


def test_what_is_imported_is_required_or_of_an_extra() -> None:
    distributions = packages_distributions()
    required = names(PROJECT["dependencies"])
    for module in imported() - BY_OTHERS:
        of_module = {name.lower() for name in distributions.get(module, [])}
        if of_module & required:
            assert module not in extras.OF_MODULE
        else:
            assert module in extras.OF_MODULE, f"{module}: in no extra"
            extra = PROJECT["optional-dependencies"][extras.OF_MODULE[module]]
            assert of_module & (names(extra) | {"snakemake-interface-logger-plugins"}), module
    assert set(extras.OF_MODULE) <= imported()


def test_the_lack_of_another_module_is_no_users_error() -> None:
    with pytest.raises(ModuleNotFoundError), extras.told():
        import no_such_module  # type: ignore # noqa: F401


def test_a_checkout_installs_what_a_run_can_use_and_the_command_for_all_else_is_told() -> None:
    with pytest.raises(UserError, match=r"this needs cv2, .*: make(?: -C \S+)? environment$"), extras.told():
        raise ModuleNotFoundError("No module named 'cv2'", name="cv2")
    assert checkout.IS_CHECKOUT
    locks = {"phones", *checkout.OF_A_CHECKOUT}
    assert locks == reached("all") - {"all"}
    assert checkout.install("phones").endswith("-r " + str(REPOSITORY / "envs/phones.lock"))
    assert checkout.install("serve").endswith(f"-e '{REPOSITORY}[serve]'")


def reached(extra: str) -> set[str]:
    """Return an extra and all that it names."""
    named = [Requirement(text) for text in PROJECT["optional-dependencies"][extra]]
    inner = [other for one in named if one.name == "avpretext" for other in one.extras]
    return {extra}.union(*(reached(other) for other in inner))

"""Printed commands run as printed: programs are named as a shell without an activated environment finds them."""

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from avpretext import programs
from avpretext.cli import app

SOURCE = Path(__file__).resolve().parents[1] / "src" / "avpretext"
OWN = Path(sys.executable).with_name("avpretext")
ELSEWHERE = "/usr/bin:/bin"
DEEP = Path("/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/a/b/c/d/e/f/g/h/i/j/k")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A shell whose `PATH` knows nothing of this environment."""
    monkeypatch.setenv("PATH", ELSEWHERE)
    monkeypatch.delenv(programs.SHELLS_PATH, raising=False)
    return monkeypatch


def test_without_an_activated_environment_the_path_is_printed_and_runs(
    bare: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for folder in (tmp_path, OWN.parents[2]):
        printed = programs.command("avpretext --version", folder)
        done = subprocess.run(printed, shell=True, cwd=folder, capture_output=True, text=True, check=True)
        assert done.stdout.startswith("avpretext "), printed
    assert programs.command("avpretext doctor", OWN.parents[2]) == f"{OWN.relative_to(OWN.parents[2])} doctor"


def test_a_program_that_pip_puts_elsewhere_than_python_is_found(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Debian's pip writes to /usr/local/bin, its Python is in /usr/bin."""
    (tmp_path / "avpretext").touch()
    bare.setattr(sys, "executable", "/usr/bin/no-such-python3")
    bare.setattr(programs.sysconfig, "get_path", lambda of: str(tmp_path))
    assert programs.installed("avpretext") == tmp_path / "avpretext"
    assert programs.installed("no_such_program") is None


def test_in_an_activated_environment_the_name_is_enough(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("PATH", f"{OWN.parent}:{ELSEWHERE}")
    assert programs.command("avpretext doctor") == "avpretext doctor"


def test_beside_the_program_a_shell_needs_a_dot(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = tmp_path.resolve()
    (place / "avpretext").touch()
    bare.setattr(sys, "executable", str(place / "python"))
    assert programs.command("avpretext doctor", place) == "./avpretext doctor"


def test_another_program_of_that_name_does_not_count(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "avpretext"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    bare.setenv("PATH", f"{tmp_path}:{ELSEWHERE}")
    assert programs.command("avpretext", DEEP) == shlex.quote(str(OWN))


def test_a_job_prints_whole_paths_and_looks_at_the_users_path(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("PATH", f"{OWN.parent}:{ELSEWHERE}")  # as the workflow does for its jobs
    bare.setenv(programs.SHELLS_PATH, ELSEWHERE)
    assert programs.command("avpretext doctor") == f"{shlex.quote(str(OWN))} doctor"


def test_a_folder_that_the_shell_is_not_in_has_whole_paths(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare.chdir(OWN.parents[2])
    bare.setenv("PWD", str(OWN.parents[2]))
    assert programs.command("avpretext").startswith(OWN.parent.parent.name)
    bare.setenv("PWD", str(tmp_path))  # as with `snakemake --directory`
    assert programs.command("avpretext") == shlex.quote(str(OWN))


def test_without_the_program_python_runs_the_module(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare.setattr(sys, "executable", str(tmp_path / "my python"))
    bare.setattr(programs.sysconfig, "get_path", lambda of: str(tmp_path))
    assert programs.command("avpretext doctor", DEEP) == f"'{tmp_path / 'my python'}' -m avpretext doctor"


COMMANDS = "|".join(map(re.escape, typer.main.get_command(app).list_commands(None)))
BARE = re.compile(
    rf"(?<!by )(?<!in )(?<!for )(?<!as )(?:^|[`>:(& ])(?:avpretext (?:{COMMANDS})\b|snakemake(?= --|`| [a-z_]+`))"
)
OF_OTHERS = ("encoder_fetch.py", "pyfeat_weights.py", "model.py")
"""Modules whose commands are for another machine, or name what to use."""


def strings(tree: ast.AST) -> Iterator[str]:
    """Yield the strings of a module but for docstrings, descriptions of options and arguments of `command`."""
    left_out = {id(inner) for node in ast.walk(tree) for part in explained(node) for inner in ast.walk(part)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out:
            yield node.value


def explained(node: ast.AST) -> list[ast.expr]:
    """Return the parts of a node that are no message, or are written by `command`."""
    match node:
        case ast.Expr(value=ast.Constant()):
            return [node.value]
        case ast.keyword(arg="description" | "help" | "metavar"):
            return [node.value]
        case ast.Call(func=ast.Name(id="command")):
            return node.args
    return []


@pytest.mark.parametrize("module", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_message_names_a_bare_program(module: Path) -> None:
    found = [text for text in strings(ast.parse(module.read_text("utf-8"))) if BARE.search(text)]
    assert found == [] or module.name in OF_OTHERS, "write it with `programs.command`"

"""The rooms of the package stand in an order, and imports point one way along it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "avpretext"

ORDER = (
    {"errors"},
    {"locks", "signing", "machine", "pool", "chunks", "refusal", "systems", "names", "own_code", "yaml_files"},
    {"strangers", "escapes", "foreign"},
    {"progress"},
    {"checkout", "programs"},
    {"extras"},
    {"shards"},
    {"writing", "options"},
    {"flow"},
    {"config"},
    {"config_file", "media"},
    {"sound", "face"},
    {"segment"},
    {"corpora"},
    {"action_units"},
    {"labels"},
    {"models"},
    {"training"},
    {"run"},
    {"evaluation"},
    {"report", "predict", "interchange"},
    {"inspect"},
    {"orofacial"},
    {"doctor", "demo", "search", "serve"},
    {"init"},
    {"cli"},
)  # fmt: skip
"""Rooms, and modules that stand alone, from those that know nothing to those that know all the others."""

HEIGHT = {room: height for height, rooms in enumerate(ORDER) for room in rooms}
ALONE = {"errors", "locks", "signing"}
"""All of the package that `shards` may import."""


def room_of(module: Path) -> str:
    """Return the room of a file, or the module itself if it stands alone."""
    return module.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports_of(module: Path) -> Iterator[tuple[str, bool]]:
    """Yield the rooms that a file imports, and whether it does so at its top."""
    tree = ast.parse(module.read_text("utf-8"))
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "avpretext":
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("avpretext.")]
        for name in names:
            room = name.split(".")[1]
            if room != "__version__":
                yield room, node in tree.body


MODULES = [path for path in sorted(SOURCE.rglob("*.py")) if room_of(path) not in ("__init__", "__main__")]


def test_every_room_has_its_place() -> None:
    assert {room_of(module) for module in MODULES} == set(HEIGHT)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_along_the_order_of_rooms(module: Path) -> None:
    here = room_of(module)
    up = {room for room, _ in imports_of(module) if room != here and HEIGHT[room] >= HEIGHT[here]}
    assert not up, f"{here} may not import {', '.join(sorted(up))}: see ORDER"


def test_shards_stand_on_nothing_but_arrow_and_errors() -> None:
    assert {room for room, _ in imports_of(SOURCE / "shards.py")} <= ALONE


def test_no_two_files_have_one_name() -> None:
    names = [module.name for module in MODULES if module.name != "__init__.py"]
    rooms = {path.name for path in SOURCE.iterdir() if path.is_dir()}
    twice = {name for name in names if names.count(name) > 1 and name.removesuffix(".py") not in rooms}
    assert twice <= SAME_SUBJECT


SAME_SUBJECT = {"phones.py"}
"""Options of a subject bear the name of its module."""


Documented = ast.Module | ast.ClassDef | ast.FunctionDef


def undocumented(module: Path) -> Iterator[str]:
    """Yield the public functions, classes and methods of a file that have no docstring."""
    nodes: list[tuple[str, Documented]] = [("", ast.parse(module.read_text("utf-8")))]
    for place, node in nodes:
        if not ast.get_docstring(node):
            yield f"{module.relative_to(SOURCE)}:{place}"
        if not isinstance(node, ast.FunctionDef):
            nodes += [
                (f"{place}.{one.name}".lstrip("."), one)
                for one in ast.iter_child_nodes(node)
                if isinstance(one, ast.FunctionDef | ast.ClassDef) and not one.name.startswith("_")
            ]


def test_every_public_function_and_class_says_what_it_does() -> None:
    assert [name for module in sorted(SOURCE.rglob("*.py")) for name in undocumented(module)] == []

"""docs/start.md has the platforms that the table of wheels allows, and its commands name what is there."""

import re
from pathlib import Path

import platform_docs
from marked import marks
from wheels import PLATFORMS, PYTHONS, Target, read_table

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs/start.md").read_text("utf-8")


def test_the_page_has_the_table_of_the_wheels() -> None:
    begin, end = marks("platforms")
    table = PAGE[PAGE.index(begin) + len(begin) : PAGE.index(end)]
    assert table == platform_docs.generated()["platforms"], "run: make locks"
    assert [line.split("|")[1].strip() for line in table.splitlines()[2:]] == list(PLATFORMS)


def test_a_package_without_a_wheel_shows_in_the_cells_of_its_extras() -> None:
    target = Target("Linux", "x86_64", PYTHONS[0])
    wheel = "py3-none-macosx_11_0_arm64"
    lost = {"package": "soup", "version": "1", "marker": "", "tags": wheel}
    assert platform_docs.cell(target, [{**lost, "needed_by": "serve onnx"}]) == "all but onnx, serve"
    assert platform_docs.cell(target, [{**lost, "needed_by": "base"}]) == "nothing: no soup"
    assert platform_docs.cell(Target("Darwin", "arm64", PYTHONS[0]), [{**lost, "needed_by": "base"}]) == "all"
    assert platform_docs.cell(target, []) == "all"


def test_a_windows_without_posix_is_told() -> None:
    assert "import fcntl" in (REPOSITORY / "src/avpretext/locks.py").read_text("utf-8")
    (line,) = [line for line in platform_docs.generated()["platforms"].splitlines() if "Windows" in line]
    assert line.count("nothing") == len(PYTHONS)


def test_the_commands_for_hashes_name_the_locks_and_the_version_of_torch() -> None:
    (block,) = re.findall(r"### With hashes\n.*?```sh\n(.*?)```", PAGE, re.DOTALL)
    assert {"hashed.lock", "hashed-cuda.lock"} == set(re.findall(r"envs/(\S+?\.lock)", block))
    assert all((REPOSITORY / "envs" / name).is_file() for name in ("hashed.lock", "hashed-cuda.lock"))
    (version,) = [row["version"] for row in read_table() if row["package"] == "torch"]
    assert f"torch=={version} " in block

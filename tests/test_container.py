"""The image: what goes into its build is what the package is built from, and jobs see what the configuration names."""

import re
import runpy
from pathlib import Path

import pytest

from avpretext import config_file
from avpretext.errors import UserError
from avpretext.run import image
from tests.workflow.test_wheel import SOURCES

REPOSITORY = Path(__file__).resolve().parents[1]


def test_the_image_is_built_from_what_the_wheel_is_built_from() -> None:
    recipe = (REPOSITORY / "envs" / "Containerfile").read_text()
    copied = [name for line in re.findall(r"^COPY (.+) \S+$", recipe, re.MULTILINE) for name in line.split()]
    assert sorted(copied) == sorted(SOURCES)


def test_nothing_else_is_sent_to_the_build() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if not line.startswith("#")]
    assert rules[0] == "*"
    assert sorted(rule.removeprefix("!") for rule in rules if rule.startswith("!")) == sorted(SOURCES)


def test_the_image_has_the_system_libraries_that_are_checked() -> None:
    packages = runpy.run_path(str(REPOSITORY / "envs" / "system_libraries.py"))["PACKAGE_OF"]
    recipe = (REPOSITORY / "envs" / "Containerfile").read_text()
    (installed,) = re.findall(r"apt-get install .*-recommends (.+) \\$", recipe, re.MULTILINE)
    assert sorted(installed.split()) == sorted(packages.values())


def test_an_image_that_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match=r"container = 'none\.sif': it is not there"):
        image.check("none.sif")
    image.check("docker://registry.invalid/avpretext")


def test_jobs_see_what_the_configuration_names_and_what_links_lead_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("my clips", "source", "weights", "project"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "project")
    (tmp_path / "project" / "corpus").symlink_to(tmp_path / "my clips")
    config = config_file.parse({
        "corpora": {"mine": {"path": "corpus", "use": ["pretrain"], "table": "not-there.csv"}},
        "encoders": {"wavlm": {"folder": str(tmp_path / "weights"), "pool": "chunks"}},
    })  # fmt: skip
    places = [tmp_path / name for name in ("my clips", "project", "project/corpus", "source", "weights")]
    wanted = "".join(f" --bind '{place}'" if " " in str(place) else f" --bind {place}" for place in sorted(places))
    assert image.mounts(config, "results/a run", str(tmp_path / "source")) == wanted

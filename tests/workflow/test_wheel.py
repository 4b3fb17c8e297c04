"""The package from a wheel, in empty environments, in another folder: to open and predict, and to run the workflow."""

import json
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from sysconfig import get_path

import pytest

from tests.closure import PROJECT, closure, installed
from tests.conftest import MadeOnce
from tests.workflow.project import REPOSITORY, Project, environment
from tests.workflow.sounds import make_sounds

SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE", "src", "workflow", "envs")


@pytest.fixture(scope="session")
def wheel(made_once: MadeOnce) -> Path:
    """A wheel of this checkout."""

    def build(folder: Path) -> None:
        source = folder / "source"
        source.mkdir(parents=True)
        for name in SOURCES:
            found = REPOSITORY / name
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            if found.is_dir():
                shutil.copytree(found, source / name, ignore=ignored)
            else:
                shutil.copy2(found, source)
        words = ["wheel", "-qq", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
        subprocess.run([sys.executable, "-m", "pip", *words, str(source)], check=True)

    (built,) = made_once("a wheel", build).glob("*.whl")
    return built


def make_environment(folder: Path, wheel: Path | None) -> Path:
    """Make an environment without any package but the wheel's; return its Python and its folder of packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    if wheel is not None:
        words = ["--python", str(folder / "bin/python"), "install", "-qq", "--no-deps", "--no-index", str(wheel)]
        subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    return folder / "bin/python"


def packages_of(python: Path) -> Path:
    """Return the folder of packages of an environment."""
    (found,) = python.parents[1].glob("lib/python*/site-packages")
    return found


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel and what it requires, and none of its extras."""
    needed, unmet = closure(PROJECT["dependencies"], installed(), {})
    assert not unmet
    python = make_environment(tmp_path_factory.mktemp("bare") / "environment", wheel)
    there = Path(get_path("purelib"))
    for name in needed:
        parts = {file.parts[0] for file in distribution(name).files or [] if file.parts[0] != ".."}
        for part in parts - {"__pycache__", "bin"}:
            target = packages_of(python) / part
            if not target.exists():
                target.symlink_to(there / part)
    return python


@pytest.fixture(scope="module")
def whole(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel and all packages of its extras."""
    python = make_environment(tmp_path_factory.mktemp("whole") / "environment", wheel)
    (packages_of(python) / "others.pth").write_text(f"{get_path('purelib')}\n")
    return python


def run(python: Path, *words: str, folder: Path, status: int = 0) -> str:
    """Run a module or a program of an environment's Python elsewhere; return what it says."""
    done = subprocess.run(
        [python, *words], cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stdout
    return done.stdout


OPEN = """
import json, sys
import avpretext
run = avpretext.open(sys.argv[1])
clip = run.clips()["clip_id"][0]
found = [run.labels("energy").height, run.predictions().height, run.features("speech", clip).height]
model = avpretext.load(sys.argv[2])
print(json.dumps([avpretext.__file__, found, model.predict(sys.argv[3]).probabilities.round(4).tolist()]))
"""


@pytest.mark.workflow
def test_a_bare_installation_opens_a_run_and_predicts_as_a_checkout_does(
    bare: Path, finished: Project, tmp_path: Path
) -> None:
    model = next((finished.results / "labelled/export").glob("*/best"))
    clip = min((finished.folder / "demo/labelled").rglob("*.mp4"))
    words = ["-c", OPEN, str(finished.results), str(model), str(clip)]
    here, *found = json.loads(run(bare, *words, folder=tmp_path).splitlines()[-1])
    assert Path(here).is_relative_to(bare.parents[1])
    there, *expected = json.loads(run(Path(sys.executable), *words, folder=tmp_path).splitlines()[-1])
    assert there != here
    assert found == expected
    said = run(bare, "-m", "avpretext", "predict", str(model), str(clip), folder=tmp_path)
    assert clip.name in said


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("words", "module", "extra"),
    [
        (("inspect", "{clip}", "--config", "{config}"), "matplotlib", "report"),
        (("demo", "data"), "cv2", "report"),
        (("baseline", "--help"), "sklearn", "workflow"),
    ],
)
def test_a_package_that_a_bare_installation_lacks_is_told_with_its_command(
    bare: Path, finished: Project, words: tuple[str, ...], module: str, extra: str
) -> None:
    finished.arguments()
    clip = min((finished.folder / "demo/labelled").rglob("*.mp4"))
    named = {"clip": str(clip), "config": str(finished.folder / "config.yaml")}
    words = tuple(word.format(**named) for word in words)
    said = run(bare, "-m", "avpretext", *words, folder=finished.folder, status=2)
    command = f"{bare} -m pip install 'avpretext[{extra}]'"
    assert said == f"avpretext: error: this needs {module}, which is not installed; install it with: {command}\n"


@pytest.mark.workflow
def test_a_project_made_from_the_wheel_runs(whole: Path, tmp_path: Path) -> None:
    make_sounds(tmp_path)
    words = ["init", "mine", "--corpus", "sounds", "--table", "table.csv", "--audio", "--yes"]
    said = run(whole, "-m", "avpretext", *words, folder=tmp_path)
    project = tmp_path / "mine"
    snakefile = packages_of(whole) / "avpretext/shipped/workflow/Snakefile"
    assert str(snakefile) in (project / "Snakefile").read_text(), said
    target = "results/sounds_pretrain/labels_energy/all.parquet"
    run(whole, "-m", "snakemake", "--cores", "2", target, folder=project)
    assert (project / target).exists()
    assert str(packages_of(whole)) not in (
        project / "results/sounds_pretrain/labels_energy/all.parquet"
    ).read_bytes().decode("latin1")
    assert "Nothing to be done" in run(whole, "-m", "snakemake", "--cores", "2", target, folder=project)
    assert json.loads((project / "results/runs.jsonl").read_text())["commit"] is None


@pytest.mark.workflow
def test_rules_without_the_package_say_what_to_install(whole: Path, wheel: Path, tmp_path: Path) -> None:
    """As where `snakefile` names a repository on the web: the source does not lie beside the rules."""
    python = make_environment(tmp_path / "environment", None)
    (packages_of(python) / "others.pth").write_text(f"{get_path('purelib')}\n")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path / "rules", [name for name in file.namelist() if "/shipped/workflow/" in name])
    snakefile = tmp_path / "rules/avpretext/shipped/workflow/Snakefile"
    shutil.rmtree(snakefile.parent / "profiles")
    (tmp_path / "config.yaml").write_text("{}")
    said = run(python, "-m", "snakemake", "-n", "--snakefile", str(snakefile), folder=tmp_path, status=1)
    assert "the package avpretext is not installed for" in said
    assert "pip install 'avpretext[workflow]'" in said


def test_the_wheel_has_the_workflow_and_nothing_of_this_machine(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        text = {name: file.read(name) for name in names}
    shipped = {name.partition("/shipped/")[2] for name in names if "/shipped/" in name}
    for name in ("workflow", "envs"):
        for path in (REPOSITORY / name).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert str(path.relative_to(REPOSITORY)) in shipped
    assert not [name for name, content in text.items() if str(REPOSITORY).encode() in content]

"""The examples of docs/other-tools.md run, on shards that are worked out by hand, and print what they promise."""

import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from avpretext import cli, shards
from avpretext.flow.artefacts import schema_of
from avpretext.flow.columns import MOTION_REGIONS
from tests.interchange.conftest import write_corpus

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "other-tools.md").read_text("utf-8")
SECTION = re.compile(r"^## (.+?)$(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"```(sh|python)\n(.*?)```", re.DOTALL)
PROMISED = {
    "polars, pandas": ["0.5", "anna/one 16000 1.5 s"],  # anna: a high chunk and a low one
    "DuckDB": ["ANG", "2.5"],
    "Hugging Face datasets": ["(112, 112)", "anna/one"],
    "Where a file comes from": ["'stage': 'labels_energy'"],
    "audformat": ["audformat, 11 tables", "0 days 00:00:00.210000", "labelled"],
    "For those who train elsewhere": ["datasets, 3 tables", "labels_energy", "{'train': 1, 'test': 1} ['ANG', 'SAD']"],
    "TensorBoard, MLflow, Weights & Biases": ["1 runs"],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with config.yaml and results, named as the demo's."""
    folder = tmp_path_factory.mktemp("project")
    labelled, unlabelled = (
        write_corpus(folder, name).model_dump(mode="json") for name in ("demo_labelled", "demo_unlabelled")
    )
    config = {**unlabelled, "corpora": labelled["corpora"] | unlabelled["corpora"]}
    (folder / "config.yaml").write_text(yaml.safe_dump(config), "utf-8")
    corpus = folder / "results" / "demo_unlabelled"
    frames = [{"clip_id": "anna/one", "frame": k, "time_s": k / 25} for k in (0, 1)]
    speeds = [frame | {f"speed_{region}": 2.0 + k for region in MOTION_REGIONS} for k, frame in enumerate(frames)]
    shards.write_table(corpus / "motion" / "0000.parquet", speeds, schema_of("motion"), {})
    picture = io.BytesIO()
    Image.new("RGB", (112, 112), "teal").save(picture, "JPEG")
    faces = [frame | {"image": {"bytes": picture.getvalue(), "path": "x.jpg"}} for frame in frames]
    shards.write_table(
        corpus / "landmarks" / "thumbnails" / "0000.parquet", faces, schema_of("landmarks.thumbnails"), {}
    )
    history = [{"seed": 0, "epoch": 1, "split": "dev", "measure": "loss", "value": 1.0}]
    place = folder / "results" / "pretrain" / "mean" / "energy" / "history.parquet"
    shards.write_table(place, history, schema_of("pretrain.history"), {})
    return folder


def test_every_section_with_an_example_is_tested() -> None:
    assert {title for title, text in SECTION.findall(PAGE) if BLOCK.search(text)} == set(PROMISED)


def run_here(language: str, block: str, patch: pytest.MonkeyPatch) -> None:
    """Run an example in this process; commands of a shell are those of avpretext alone."""
    if language == "python":
        exec(compile(block, "example", "exec"), {})
        return
    for line in block.splitlines():
        program, *arguments = shlex.split(line)
        assert program == ".venv/bin/avpretext"
        patch.setattr(sys, "argv", ["avpretext", *arguments])
        with pytest.raises(SystemExit) as done:
            cli.main()
        assert not done.value.code


def run_apart(block: str, folder: Path) -> str:
    """Run Python in a process of its own, for `datasets` settles on its cache when it is imported."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "cache")}
    command = [sys.executable, "-c", block]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("title", PROMISED)
def test_the_examples_of_a_section_run_and_print_what_they_promise(
    title: str, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    printed = ""
    for language, block in BLOCK.findall(dict(SECTION.findall(PAGE))[title]):
        if "import load_dataset" in block or ", load_dataset" in block:
            printed += run_apart(block, project)
        else:
            run_here(language, block, monkeypatch)
    printed += capsys.readouterr().out
    for words in PROMISED[title]:
        assert words in printed

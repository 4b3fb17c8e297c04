"""The trained model taken away: made by the workflow, and heard to say what the workflow says."""

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

import avpretext
from avpretext import shards
from avpretext.config_file import load
from avpretext.flow.artefacts import STAGES
from avpretext.flow.paths import Layout, expand
from avpretext.predict.result import Prediction
from avpretext.run.plan import Plan
from avpretext.training import export, model_folder
from avpretext.training.data import chunk_grid, in_deviations, load_chunks
from avpretext.training.objectives import TASK
from tests.workflow.project import REPOSITORY, Project

SETTING = "acted.speaker_kfold"
FOLDER = f"results/labelled/export/{SETTING}/best"


@pytest.fixture(scope="module")
def project(finished: Project, monkeypatch_module: pytest.MonkeyPatch) -> Project:
    """The finished project, its folder the present one."""
    monkeypatch_module.chdir(finished.folder)
    return finished


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def clips_of(folder: str) -> list[Path]:
    return sorted(Path("demo", folder).rglob("*.mp4"))


EXPORTED = {Path(file.place).name for stage in ("export", "card") for file in STAGES[stage].writes.values()}


@pytest.mark.workflow
def test_a_model_is_made_with_a_card_that_repeats_its_scores(project: Project) -> None:
    assert {path.name for path in Path(FOLDER).iterdir() if not path.name.startswith(".")} == EXPORTED
    description = model_folder.read_description(Path(FOLDER))
    assert description.corpora["labelled"].clips == len(clips_of("labelled"))
    starts = {"scratch", "energy", "energy-activation-emotion"}
    assert set(description.dev_scores) == starts
    best = max(description.dev_scores, key=lambda name: description.dev_scores[name])
    assert description.initialisation == best
    card = json.loads(Path(FOLDER, "card.json").read_text())
    with Path("results/tables/main.csv").open() as table:
        row = next(row for row in csv.DictReader(table) if row["initialisation"] == best)
    uar = next(score for score in card["scores"] if score["measure"] == "uar")
    assert [f"{uar[name]:.4f}" for name in ("value", "low", "high")] == [row["uar"], row["uar_low"], row["uar_high"]]
    page = Path(FOLDER, "README.md").read_text()
    assert f"| UAR | {uar['value']:.3f} | {uar['low']:.3f} to {uar['high']:.3f} |" in page
    assert "Trained on a synthetic corpus" in page
    assert description.weights_sha256 in page


@pytest.mark.workflow
def test_it_says_of_a_clip_what_the_shards_say(project: Project) -> None:
    trained = model_folder.read(Path(FOLDER))
    assert trained.normalisation is not None
    files = clips_of("labelled")
    said = list(avpretext.load(FOLDER).predict_many(files))
    speakers = {file.stem: file.stem.split("_")[0] for file in files}
    features = {"speech": expand("results/labelled/speech@1")}
    grid = chunk_grid(trained.description.chunks, trained.description.model.step_frames)
    chunks = load_chunks(features, speakers, ["*"], grid)
    assert chunks.channels == trained.description.channels
    steps = in_deviations(chunks.steps, trained.normalisation.mean, trained.normalisation.deviation)
    with torch.no_grad():
        heard = [network(steps * chunks.mask.unsqueeze(-1), chunks.mask)[TASK] for network in trained.networks]
    expected = np.mean([values.softmax(1).numpy() for values in heard], axis=0)
    found = np.concatenate([one.probabilities for one in said if isinstance(one, Prediction)])
    assert chunks.clip_ids == [file.stem for file in files]
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.workflow
def test_emotions_of_speakers_never_heard_are_recognised(project: Project, tmp_path: Path) -> None:
    config = load("config.yaml")
    longer = config.finetune.model_copy(update={"epochs": 30, "batch_size": 8})
    export.run(
        "scratch",
        {"labelled": {"speech": expand("results/labelled/speech@1")}},
        {name: Path(path) for name, [path] in Plan(config).target_tables("labelled", SETTING).items()},
        Path(Layout("results").path("folds", corpus="labelled", setting=SETTING)),
        {},
        {},
        config.model_copy(update={"finetune": longer}),
        tmp_path,
        2,
    )
    files = clips_of("unlabelled")
    truth = shards.read("demo/truth/clips.parquet").filter(corpus="unlabelled").select("clip_id", "emotion")
    known = dict(truth.iter_rows())
    said = avpretext.load(tmp_path).predict_many(files, threads=2)
    names = [file.relative_to("demo/unlabelled").with_suffix("").as_posix() for file in files]
    right = [isinstance(one, Prediction) and one.label == known[name] for name, one in zip(names, said, strict=True)]
    # 16 clips, 6 emotions: 7 right or more by chance in 1 of 100 such tests.
    assert sum(right) >= 7


@pytest.mark.workflow
def test_files_on_the_command_line_are_rows_and_a_bad_one_has_its_reason(project: Project, tmp_path: Path) -> None:
    shutil.copy2(clips_of("labelled")[0], tmp_path / "a clip.mp4")
    (tmp_path / "no clip.mp4").write_text("text")
    command = [sys.executable, "-m", "avpretext", "predict", FOLDER, str(tmp_path)]
    done = subprocess.run([*command, "--format", "csv"], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [row["reason"] for row in rows] == ["", "not_media"]
    assert rows[0]["predicted"] in ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
    assert sum(float(rows[0][name]) for name in ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")) == pytest.approx(
        1, abs=1e-3
    )
    assert "nothing can be said of 1 of 2 files" in done.stderr
    assert "Traceback" not in done.stderr
    written = tmp_path / "out" / "said.json"
    along = [*command[:-1], str(tmp_path / "a clip.mp4"), "--along-time", "1,0.5", "--output", str(written)]
    done = subprocess.run(along, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    objects = json.loads(written.read_text())
    assert [entry["start_s"] for entry in objects[:2]] == [0.0, 0.5]
    mistaken = subprocess.run([*command, "--along-time", "x"], capture_output=True, text=True, check=False)
    assert mistaken.returncode == 2
    assert mistaken.stderr == "avpretext: error: --along-time 'x': expected WINDOW,HOP in seconds, such as 3,1\n"


@pytest.mark.workflow
def test_an_edit_redoes_the_model_or_its_card_alone(project: Project) -> None:
    printed = {"manifest", "tables", "report"}  # which show the configuration
    runs = project.snakemake("--dry-run", export={"networks": 2}).would_run()
    assert set(runs) - printed == {"export", "card"}
    runs = project.snakemake("--dry-run", evaluate={"bootstrap": 60, "permutations": 50}).would_run()
    assert set(runs) - printed == {"evaluate", "trust", "card"}
    runs = project.snakemake("--dry-run", export={"initialisations": ["best", "scratch"]}).would_run()
    assert {name: runs[name] for name in set(runs) - printed} == {"export": 1, "card": 1}
    assert not set(project.snakemake("--dry-run", export={"initialisations": []}).would_run()) - printed


@pytest.mark.workflow
def test_the_examples_of_the_page_run(project: Project, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = (REPOSITORY / "docs/predict.md").read_text()
    examples = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(examples) >= 2
    clips = clips_of("labelled")
    names = {
        "results/demo_labelled/export/acted.speaker_kfold/best": FOLDER,
        "data/demo/labelled/VideoFlash/1101_IOM_DIS_XX.mp4": str(clips[0]),
        "data/demo/labelled": "demo/labelled",
        "model.onnx": str(tmp_path / "model.onnx"),
    }
    if not all(find_spec(name) for name in ("onnx", "onnxruntime", "onnxscript")):
        examples = [example for example in examples if "onnx" not in example]
    for example in examples:
        for shown, here in names.items():
            example = example.replace(shown, here)
        exec(example, {"__name__": "__main__"})
        assert capsys.readouterr().out.strip(), example

"""Results in a bucket: the bytes of a local run, on one machine and on two that share no disk."""

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from avpretext.demo import random_encoder
from tests.workflow import warm
from tests.workflow.project import REPOSITORY, Project, environment

PLUGINS = Path(__file__).with_name("plugins")
LABELS, TARGETS, TABLES = (
    f"results/{made}" for made in ("mine/labels_energy/all.parquet", "mine/targets/mood.parquet", "tables/main.csv")
)
SPEECH = "results/mine/speech/0000.parquet"


def needs(*modules: str) -> None:
    """Skip where a module is not installed."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")


def without_results(sounds: Project, folder: Path) -> Project:
    """Return the project in a new folder, without results; it finds the storage plugin of the tests."""
    shutil.copytree(sounds.folder, folder, ignore=shutil.ignore_patterns("results", ".snakemake"))
    return Project(folder, sounds.config, variables={"PYTHONPATH": str(PLUGINS)})


def in_bucket(bucket: Path) -> tuple[str, ...]:
    """Return the arguments by which results go to a bucket, which here is a folder."""
    return ("--default-storage-provider", "folder", "--default-storage-prefix", f"folder://{bucket}/run")


def bytes_in(folder: Path) -> dict[str, bytes]:
    """Return the artefacts in a results folder or in a copy of one in a bucket, without recipes beside them."""
    made = Project(folder, {"results": "results"}).artefacts()
    return {name: content for name, content in made.items() if not name.endswith(".made")}


@pytest.fixture(scope="module")
def stored(sounds: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same run with its results in a bucket, `bucket` beside the project's folder."""
    project = without_results(sounds, tmp_path_factory.mktemp("stored") / "a project")
    project.snakemake(TABLES, *in_bucket(project.folder.parent / "bucket"))
    return project


@pytest.mark.workflow
def test_a_bucket_holds_the_bytes_of_a_local_run_and_the_disk_nothing(sounds: Project, stored: Project) -> None:
    made = bytes_in(stored.folder.parent / "bucket" / "run")
    assert made == bytes_in(sounds.folder)
    assert "tables/main.csv" in made
    assert not stored.results.exists()


@pytest.mark.workflow
def test_another_machine_makes_again_what_an_edit_touches_and_nothing_else(
    sounds: Project, stored: Project, tmp_path: Path
) -> None:
    other, bucket = without_results(sounds, tmp_path / "another"), in_bucket(stored.folder.parent / "bucket")
    assert "Nothing to be done" in other.snakemake(TABLES, "--dry-run", *bucket).text
    edit: dict[str, Any] = {"evaluate": {"bootstrap": 60, "permutations": 50}}
    run = other.snakemake(TABLES, "--dry-run", *bucket, **edit)
    assert run.would_run() == sounds.snakemake(TABLES, "--dry-run", **edit).would_run()
    assert "evaluate.bootstrap" in run.text


@pytest.mark.workflow
def test_a_bucket_has_one_run_at_a_time(sounds: Project, stored: Project, tmp_path: Path) -> None:
    bucket = stored.folder.parent / "bucket"
    sign = bucket / "run/results/.avpretext/run"
    assert not sign.exists(), "the run that has ended has removed it"
    holder = {"run": "1", "host": "elsewhere", "pid": 1, "since": "today", "command": "snakemake"}
    sign.write_text(json.dumps(holder))
    other = without_results(sounds, tmp_path / "another")
    run = other.snakemake(TABLES, "--forcerun", "folds", *in_bucket(bucket), check=False)
    sign.unlink()
    assert run.status != 0
    assert "another run is at work in these results, or was killed: `snakemake` on elsewhere" in run.text


@pytest.mark.workflow
def test_a_bucket_has_an_encoder_that_learnt_with_all_that_opens_it(sounds: Project, tmp_path: Path) -> None:
    import transformers

    project = without_results(sounds, tmp_path / "a project")
    random_encoder.write("wavlm", project.folder / "wavlm")
    lora = {"epochs": 1, "seeds": 1, "task_sets": [["energy"]], "encoder": {"tune": "lora", "rank": 2}}
    changes = {"encoders": {"tiny": {"folder": "wavlm"}}, "model": {"features": ["tiny"], "width": 8}, "pretrain": lora}
    history = "results/pretrain/mean/energy/history.parquet"
    project.snakemake(history, *in_bucket(tmp_path / "bucket"), **changes)
    folder = tmp_path / "bucket/run/results/pretrain/mean/energy/0/encoder"
    assert transformers.AutoModel.from_pretrained(folder).config.model_type == "wavlm"
    assert (folder / "preprocessor_config.json").exists()


@pytest.mark.workflow
def test_results_at_an_absolute_path_are_refused(sounds: Project, tmp_path: Path) -> None:
    project = without_results(sounds, tmp_path / "another")
    run = project.snakemake("--dry-run", *in_bucket(tmp_path / "bucket"), check=False, results="/abs")
    assert run.status != 0
    assert "results: /abs: in a bucket, give a path relative to it" in run.text


@pytest.mark.workflow
def test_two_machines_that_share_no_disk_make_the_bytes_of_one(sounds: Project, tmp_path: Path) -> None:
    """Each machine is a folder with a corpus of its own; the source of the workflow comes from the bucket."""
    needs("snakemake_executor_plugin_cluster_generic")
    main = without_results(sounds, tmp_path / "main")
    for name in ("Snakefile", "workflow", "envs", "profiles"):
        source = REPOSITORY / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, main.folder / name)
    machines = [without_results(sounds, tmp_path / f"machine {number}").folder for number in range(2)]
    submit, status = cluster(tmp_path / "cluster", machines)
    main.arguments()
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", "Snakefile", "--configfile", "config.yaml", "--cores", "1",
        "--jobs", "2", "--executor", "cluster-generic", "--cluster-generic-submit-cmd", submit,
        "--cluster-generic-status-cmd", status, "--shared-fs-usage", "none", "--job-deploy-sources",
        "--seconds-between-status-checks", "1", *in_bucket(tmp_path / "bucket"), "--", SPEECH, TARGETS,
    ]  # fmt: skip
    variables = {**environment(), **main.variables}
    run = subprocess.run(command, cwd=main.folder, env=variables, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    made, wanted = bytes_in(tmp_path / "bucket" / "run"), bytes_in(sounds.folder)
    assert {path.removeprefix("results/") for path in (SPEECH, TARGETS)} <= set(made)
    assert {name: wanted[name] for name in made} == made
    logs = [sorted(path.name for path in machine.glob(".snakemake/storage/**/*.log")) for machine in machines]
    assert all(logs), "both have worked"
    assert sum(map(len, logs)) == 4, "and every job was one of theirs"


def cluster(folder: Path, machines: list[Path]) -> tuple[str, str]:
    """Write the programs of a cluster, which starts each job on the next machine; return their paths."""
    folder.mkdir()
    python = (warm.warm_python() or Path(sys.executable)).parent
    submit, status = folder / "submit", folder / "status"
    submit.write_text(
        f"""#!/bin/bash
cd '{folder}'
number=$(ls | grep -c '^job'); cp "$1" "job $number"
case $((number % 2)) in 0) machine='{machines[0]}';; 1) machine='{machines[1]}';; esac
( cd "$machine" && env -i HOME="$machine" PATH='{python}':"$PATH" PYTHONPATH='{PLUGINS}' bash "{folder}/job $number"
  echo $? > "{folder}/ended $number" ) > "{folder}/log $number" 2>&1 < /dev/null &
echo $number
"""
    )
    status.write_text(
        f"""#!/bin/bash
case $(cat '{folder}'/"ended $1" 2> /dev/null) in '') echo running;; 0) echo success;; *) echo failed;; esac
"""
    )
    for program in (submit, status):
        program.chmod(0o755)
    return f"'{submit}'", f"'{status}'"


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of an S3 server that ends with the test."""
    needs("snakemake_storage_plugin_s3", "moto", "flask", "flask_cors")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with (tmp_path / "server").open("w+") as said:
        server = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", "0"], stdout=said, stderr=said)
        until = time.monotonic() + 60
        while "Running on" not in (text := (tmp_path / "server").read_text()) and time.monotonic() < until:
            time.sleep(0.1)
        yield text.partition("Running on ")[2].split()[0]
        server.kill()
        server.wait()


@pytest.mark.workflow
def test_s3_holds_the_bytes_of_a_local_run(sounds: Project, tmp_path: Path, s3: str) -> None:
    import boto3

    project = without_results(sounds, tmp_path / "a project")
    project.snakemake(
        LABELS, "--default-storage-provider", "s3", "--default-storage-prefix", "s3://bucket/run",
        "--storage-s3-endpoint-url", s3,
    )  # fmt: skip
    stored = boto3.resource("s3", endpoint_url=s3, region_name="us-east-1").Bucket("bucket").objects.all()
    for one in stored:
        place = tmp_path / "copy" / one.key
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(one.get()["Body"].read())
    made, wanted = bytes_in(tmp_path / "copy" / "run"), bytes_in(sounds.folder)
    assert LABELS.removeprefix("results/") in made
    assert {name: wanted[name] for name in made} == made


@pytest.mark.workflow
@pytest.mark.parametrize("name", ["kubernetes", "aws-batch"])
def test_a_profile_plans_the_jobs_of_a_local_run(sounds: Project, tmp_path: Path, s3: str, name: str) -> None:
    needs(f"snakemake_executor_plugin_{name.replace('-', '_')}")
    project = without_results(sounds, tmp_path / "a project")
    profile = ("--workflow-profile", str(REPOSITORY / "workflow" / "profiles" / name))
    bucket = ("--default-storage-prefix", "s3://bucket/run", "--storage-s3-endpoint-url", s3)
    planned = project.snakemake("--dry-run", *profile, *bucket).would_run()
    assert planned == without_results(sounds, tmp_path / "another").snakemake("--dry-run").would_run()

"""The machine: what two results that differ can be explained by."""

import subprocess
from pathlib import Path

import torch

from avpretext import machine


def test_facts_name_versions_processor_and_system() -> None:
    found = machine.facts()
    assert found["torch"] == torch.__version__.partition("+")[0] or found["torch"] == torch.__version__
    assert found["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert {"python", "system", "cpu", "numpy", "opensmile", "mediapipe", "av", "imageio-ffmpeg"} <= set(found)
    assert machine.as_line() == machine.as_line()


def test_the_processor_is_read_off_the_systems_list(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: A processor @ 2 GHz\n")
    assert machine._cpu(tmp_path / "cpuinfo") == "A processor @ 2 GHz"
    assert machine._cpu(tmp_path / "none")


def test_the_commit_of_a_checkout_tells_changes(tmp_path: Path) -> None:
    assert machine.commit(tmp_path / "none") is None
    (tmp_path / "a").write_text("one")
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "a"], [*author, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    clean = machine.commit(tmp_path)
    assert clean is not None
    assert len(clean) == 40
    (tmp_path / "a").write_text("two")
    assert machine.commit(tmp_path) == f"{clean} + changes"

"""Models by their name on the hub; the hub itself is not asked."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import avpretext
from avpretext.errors import UserError
from avpretext.predict.hub_models import FILES, located
from avpretext.predict.run import run

from .conftest import MakeModel, speechlike

huggingface_hub = pytest.importorskip("huggingface_hub", reason="the package huggingface_hub is not installed")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path | Exception], list[dict[str, Any]]]:
    """Let the hub give a folder, or fail; return what it is asked for."""
    allowed = inspect.signature(huggingface_hub.snapshot_download).parameters

    def set_answer(answer: Path | Exception) -> list[dict[str, Any]]:
        asked: list[dict[str, Any]] = []

        def snapshot_download(repo_id: str, **options: Any) -> str:
            assert options.keys() <= set(allowed)
            asked.append({"repo_id": repo_id, **options})
            if isinstance(answer, Exception):
                raise answer
            return str(answer)

        monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
        return asked

    return set_answer


def hub_error(name: str) -> Exception:
    """Return an error of the hub, made without a response of a server."""
    kind = getattr(huggingface_hub.errors, name)
    error: Exception = kind.__new__(kind, "401 Client Error")
    error.args = ("401 Client Error.\n\nSomething\nlong",)
    return error


def test_a_model_comes_by_its_name_and_revision(make_model: MakeModel, hub: Any) -> None:
    folder = make_model()
    asked = hub(folder)
    sound = speechlike(1.0)
    by_name = avpretext.load("ann/anger", revision="v2").predict(sound, 16_000, min_speech=0)
    by_folder = avpretext.load(folder).predict(sound, 16_000, min_speech=0)
    assert np.array_equal(by_name.probabilities, by_folder.probabilities)
    assert asked == [{"repo_id": "ann/anger", "revision": "v2", "allow_patterns": list(FILES)}]


def test_the_command_takes_a_revision_behind_the_name(
    make_model: MakeModel, make_wav: Any, hub: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = hub(make_model())
    assert run("ann/anger@refs/pr/1", [str(make_wav("a.wav"))], None, None, 0.0, "csv", None, 1) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("file,start_s")
    assert asked[0]["revision"] == "refs/pr/1"


def test_a_folder_that_exists_wins(
    make_model: MakeModel, hub: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = hub(AssertionError("the hub is asked"))
    make_model("ann/anger")
    monkeypatch.chdir(tmp_path)
    assert avpretext.load("ann/anger").names == ("angry", "happy", "sad")
    assert located("results/demo/best") == Path("results/demo/best")  # three parts are never a name on the hub
    assert located(Path("ann/happy")) == Path("ann/happy")  # nor is a path
    assert asked == []


def test_a_revision_of_a_folder_is_a_mistake(make_model: MakeModel) -> None:
    with pytest.raises(UserError, match="only models on the hub have one"):
        avpretext.load(make_model(), revision="v2")


def test_two_revisions_are_a_mistake(hub: Any, tmp_path: Path) -> None:
    hub(tmp_path)
    with pytest.raises(UserError, match="give one of them"):
        located("ann/anger@v1", "v2")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("GatedRepoError", "needs a permission; accept its terms on https://huggingface.co/ann/anger"),
        ("RevisionNotFoundError", "the hub has the model, but no such revision"),
        ("RepositoryNotFoundError", "no such folder here, and no such model on the hub; check the name"),
        ("LocalEntryNotFoundError", r"cannot be fetched from the hub \(401 Client Error\. Something long\); fetch it"),
        ("OfflineModeIsEnabled", "cannot be fetched from the hub"),
    ],
)
def test_what_the_hub_refuses_is_told_in_one_line_with_the_fix(hub: Any, error: str, told: str) -> None:
    hub(hub_error(error))
    with pytest.raises(UserError, match=told) as caught:
        located("ann/anger@v2")
    assert str(caught.value).startswith("ann/anger@v2: ")
    assert "\n" not in str(caught.value)


def test_a_model_of_another_library_is_refused(hub: Any, tmp_path: Path) -> None:
    hub(tmp_path)
    with pytest.raises(UserError, match=r"it is no model of avpretext: it has no model\.json"):
        avpretext.load("ann/other")

"""What is pushed to the hub, and what is not; the hub itself is not asked."""

import inspect
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from avpretext.cli import app
from avpretext.errors import UserError
from avpretext.predict import push
from avpretext.training.model_folder import UNKNOWN_LICENCE, read_description

from .conftest import MakeModel

huggingface_hub = pytest.importorskip("huggingface_hub", reason="the package huggingface_hub is not installed")


@pytest.fixture
def carded(make_model: MakeModel) -> Path:
    """Return a model with a card of two corpora, and a file that is no part of it."""
    folder = make_model()
    sha256 = read_description(folder).weights_sha256
    (folder / "README.md").write_text(f"---\nlicense: other\n---\n\n# Emotion: mine\n\n`{sha256}`\n")
    (folder / "card.json").write_text(json.dumps({"licences": {"mine": UNKNOWN_LICENCE, "other": "CC0"}}))
    (folder / "notes.txt").write_text("private")
    return folder


REAL = huggingface_hub.HfApi


class FakeApi:
    """The part of `HfApi` that a push calls; it notes the calls, of options that the real one has."""

    calls: ClassVar[list[tuple[str, dict[str, Any]]]]
    public = False

    def create_repo(self, repo_id: str, **options: Any) -> None:
        self.note("create_repo", repo_id=repo_id, **options)

    def repo_info(self, repo_id: str) -> SimpleNamespace:
        return SimpleNamespace(private=not self.public)

    def upload_folder(self, **options: Any) -> str:
        self.note("upload_folder", **options)
        return "https://huggingface.co/ann/anger/commit/1"

    def note(self, name: str, **options: Any) -> None:
        assert options.keys() <= set(inspect.signature(getattr(REAL, name)).parameters)
        self.calls.append((name, options))


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> type[FakeApi]:
    """Put a hub that takes everything, and a token, in place of the real ones."""
    fake = type("Fake", (FakeApi,), {"calls": []})
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_secret")
    monkeypatch.setattr(huggingface_hub, "HfApi", fake)
    return fake


def test_a_dry_run_tells_what_would_be_uploaded_and_uploads_nothing(
    carded: Path, api: type[FakeApi], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    said = CliRunner().invoke(app, ["push", str(carded), "ann/anger", "--dry-run", "--private"])
    assert said.exit_code == 0, said.output
    lines = said.output.splitlines()
    assert lines[:2] == ["Emotion: mine", "to https://huggingface.co/ann/anger (private)"]
    assert [line.split()[-1] for line in lines[2:6]] == ["model.json", "model.safetensors", "README.md", "card.json"]
    assert f"{(carded / 'model.safetensors').stat().st_size:,} bytes" in lines[3]
    assert lines[6:] == [
        "licence of mine: unknown; may models of it be published?",
        "licence of other: CC0",
        "--dry-run: nothing was uploaded",
    ]
    assert api.calls == []


def test_the_files_of_the_model_are_uploaded_and_no_others(
    carded: Path, api: type[FakeApi], capsys: pytest.CaptureFixture[str]
) -> None:
    push.run(carded, "ann/anger", private=True, dry_run=False)
    (created, repo), (uploaded, files) = api.calls
    assert (created, repo) == ("create_repo", {"repo_id": "ann/anger", "private": True, "exist_ok": True})
    assert (uploaded, files["repo_id"], files["folder_path"]) == ("upload_folder", "ann/anger", carded)
    assert files["allow_patterns"] == ["model.json", "model.safetensors", "README.md", "card.json"]
    printed = capsys.readouterr().out
    assert printed.endswith("uploaded: https://huggingface.co/ann/anger/commit/1\n")
    assert "hf_secret" not in printed


def test_nothing_private_goes_to_a_model_that_is_public(carded: Path, api: type[FakeApi]) -> None:
    api.public = True
    with pytest.raises(UserError, match="exists on the hub and is public; nothing uploaded"):
        push.run(carded, "ann/anger", private=True, dry_run=False)
    assert [name for name, _ in api.calls] == ["create_repo"]


def test_without_a_token_nothing_is_asked_of_the_hub(
    carded: Path, api: type[FakeApi], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(UserError, match="there is no token of the hub; run `hf auth login`, or set HF_TOKEN"):
        push.run(carded, "ann/anger", private=False, dry_run=False)
    assert api.calls == []


def test_a_hub_that_refuses_is_told_in_one_line(
    carded: Path, api: type[FakeApi], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("403 Forbidden:\nno rights")

    monkeypatch.setattr(api, "create_repo", refuse)
    with pytest.raises(UserError, match=r"push ann/anger: the hub refuses.* \(403 Forbidden: no rights\); run"):
        push.run(carded, "ann/anger", private=False, dry_run=False)


@pytest.mark.parametrize("missing", ["README.md", "card.json"])
def test_a_model_without_its_card_is_refused(carded: Path, missing: str) -> None:
    (carded / missing).unlink()
    with pytest.raises(UserError, match=f"travels with its card, and {missing} is missing; run the stage 'card'"):
        push.checked(carded)


def test_the_card_of_another_model_is_refused(carded: Path) -> None:
    (carded / "README.md").write_text("# Another")
    with pytest.raises(UserError, match="is the card of another model"):
        push.checked(carded)


def test_changed_weights_are_refused(carded: Path) -> None:
    with (carded / "model.safetensors").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(UserError, match="SHA-256 is another"):
        push.checked(carded)


def test_a_card_without_licences_is_refused(carded: Path) -> None:
    (carded / "card.json").write_text("[]")
    with pytest.raises(UserError, match=r"card\.json: has no licences"):
        push.checked(carded)


@pytest.mark.parametrize("name", ["anger", "ann/anger@v2", "https://huggingface.co/ann/anger"])
def test_only_a_name_on_the_hub_is_a_target(carded: Path, name: str) -> None:
    with pytest.raises(UserError, match="expected a name on the hub, user/model"):
        push.run(carded, name, private=False, dry_run=True)

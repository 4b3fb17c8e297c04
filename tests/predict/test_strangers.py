"""A model's folder from elsewhere: whatever it says, it is opened in little memory and time, or refused in one line."""

import hashlib
import json
import os
import random
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import BaseModel
from safetensors.torch import load_file, save_file

import avpretext
from avpretext.config import ChunkOptions, ModelOptions
from avpretext.errors import UserError
from avpretext.training import checkpoint, model_folder
from avpretext.training.model_folder import Description

from .conftest import MakeModel

NASTY: list[Any] = [
    0, -1, 1, 63, 1_000_000, 10_000_000, 10**19, -(10**400), 1e308, 0.5, 1e-308, "", "x" * 100_000, "\x1b]52;c;eA==\a",
    "../../x", "blstm", "math:pi", "torch.nn:Linear", [], [[]], {}, {"a": 1}, None, True, False, [0] * 2000, ["*"],
    [1e300, 0], [[1, 2]], "/dev/zero",
]  # fmt: skip
MOST_S, MOST_BYTES = 20.0, 2 << 30
CASES = int(os.environ.get("AVPRETEXT_FUZZ", "150"))
"""A command for more: AVPRETEXT_FUZZ=20000 python -m pytest tests/predict/test_strangers.py."""


@pytest.fixture
def folder(make_model: MakeModel) -> Path:
    return make_model()


def edited(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    file = folder / model_folder.DESCRIPTION
    content = json.loads(file.read_text("utf-8"))
    change(content)
    file.write_text(json.dumps(content), "utf-8")


def refusal(folder: Path) -> str:
    """Return the line by which a folder is refused; empty where a model in it answers."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        avpretext.load(folder).predict(np.sin(np.arange(12_000) / 7), 16_000)
        said = ""
    except UserError as error:
        said = str(error)
        assert "\n" not in said
    assert time.monotonic() - began < MOST_S, said
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_BYTES, said
    return said


def places_in(content: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of every value, groups included."""
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in entries:
        yield (*above, key)
        yield from places_in(value, (*above, key))


def put(content: Any, place: tuple[Any, ...], value: Any) -> None:
    for key in place[:-1]:
        content = content[key]
    content[place[-1]] = value


def test_any_value_in_a_description_is_taken_or_refused_in_one_line(folder: Path) -> None:
    file = folder / model_folder.DESCRIPTION
    whole = file.read_text("utf-8")
    cases = [(place, value) for place in places_in(json.loads(whole)) for value in NASTY]
    for place, value in random.Random(20).sample(cases, min(CASES, len(cases))):
        file.write_text(whole, "utf-8")
        edited(folder, lambda content: put(content, place, value))  # noqa: B023
        refusal(folder)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("model", "layers"), 1_000_000), (("chunks", "count"), 10_000_000), (("chunks", "length_s"), 1e7),
        (("log_mel", "window_s"), 1e7), (("networks",), 1_000_000), (("model", "width"), 10_000_000),
        (("media", "max_duration_s"), 1e30), (("chunks", "factor"), 1_000_000),
    ],
)  # fmt: skip
def test_a_number_out_of_bounds_is_named(folder: Path, place: tuple[str, ...], value: float) -> None:
    edited(folder, lambda content: put(content, place, value))
    assert ".".join(place) in refusal(folder)


def test_the_chunks_of_a_clip_are_bounded_together() -> None:
    with pytest.raises(ValueError, match="last 60000 s together"):
        ChunkOptions(length_s=600, count=100)


def bounds_of(kind: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    """Yield the JSON schema of every number in a group of options, and in those within."""
    schema = kind.model_json_schema()

    def walk(part: Any, name: str) -> Iterator[tuple[str, Any]]:
        if isinstance(part, list):
            for one in part:
                yield from walk(one, name)
        if isinstance(part, dict):
            if part.get("type") in ("integer", "number") and "const" not in part:
                yield name, part
            for key, one in part.items():
                yield from walk(one, f"{name}.{key}")

    return walk(schema, kind.__name__)


def test_every_number_of_a_description_has_bounds() -> None:
    for name, part in bounds_of(Description):
        assert {"minimum", "exclusiveMinimum"} & part.keys(), name
        assert {"maximum", "exclusiveMaximum"} & part.keys(), name


@pytest.mark.parametrize("name", [model_folder.WEIGHTS, model_folder.DESCRIPTION])
@pytest.mark.parametrize("kind", ["device", "pipe", "sparse", "folder", "loop"])
def test_what_is_no_regular_file_of_its_size_is_not_read(folder: Path, name: str, kind: str) -> None:
    file = folder / name
    file.unlink()
    if kind == "device":
        file.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "loop":
        file.symlink_to(file)
    else:
        file.touch()
        os.truncate(file, 1 << 40)
    assert name in refusal(folder)


def reweighted(folder: Path, content: bytes) -> None:
    (folder / model_folder.WEIGHTS).write_bytes(content)
    edited(folder, lambda said: put(said, ("weights_sha256",), hashlib.sha256(content).hexdigest()))


HEADERS = [
    b"{}", b"[]", b"null", b'{"a":1}',
    b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}',
    b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
    b'{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}',
    b'{"__metadata__":{"a":1}}', b"[" * 100_000, b" " * 1000, b'{"\xff":1}',
]  # fmt: skip


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: repr(header[:30]))
def test_weights_with_any_header_are_refused_in_one_line(folder: Path, header: bytes) -> None:
    for length in (len(header), 2**63, 2**32, 0):
        reweighted(folder, length.to_bytes(8, "little") + header + b"\0\0\0\0")
        assert "model.safetensors" in refusal(folder)


@pytest.mark.parametrize("kind", [torch.float16, torch.float64, torch.int64, torch.complex64, torch.bool])
def test_weights_of_another_type_are_refused(folder: Path, kind: torch.dtype) -> None:
    file = folder / model_folder.WEIGHTS
    changed = {name: value.to(kind) for name, value in load_file(file).items()}
    save_file(changed, file)
    reweighted(folder, file.read_bytes())
    assert "model.safetensors" in refusal(folder)


METADATA: list[Any] = [
    None, 1, [], "x", {}, {"channels": 1}, {"channels": ["energy"]}, {"channels": ["energy"], "tasks": 1},
    {"channels": ["energy"], "tasks": [], "hidden_from": [], "config": 3},
    {"channels": ["energy"], "tasks": [], "hidden_from": [], "config": {"model": {}, "chunks": {}}},
    {"channels": ["energy"], "tasks": [], "hidden_from": [], "config": {"model": [], "chunks": {}}, "encoder": 1},
]  # fmt: skip


@pytest.mark.parametrize("metadata", METADATA, ids=str)
def test_a_checkpoint_from_elsewhere_is_refused_in_one_line(tmp_path: Path, metadata: Any) -> None:
    from types import SimpleNamespace

    file = tmp_path / "checkpoint.safetensors"
    save_file({"best.a": torch.zeros(1)}, file, {"avpretext": json.dumps(metadata)})
    config: Any = SimpleNamespace(model=ModelOptions(), chunks=ChunkOptions())
    with pytest.raises(UserError) as error:
        checkpoint.read_body(file, ["energy"], config)
    assert "\n" not in str(error.value)
    file.unlink()
    file.touch()
    os.truncate(file, 1 << 40)
    with pytest.raises(UserError, match="what describes it allows"):
        checkpoint.read_body(file, ["energy"], config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_hidden_layers": 1_000_000}, "num_hidden_layers = 1e+06: at most 1000"),
        ({"hidden_size": 10**9}, "hidden_size = 1e+09: at most 10000000"),
        ({"conv_dim": [512, 10**12]}, "conv_dim = 1e+12"),
        ({"hidden_size": 100_000, "num_hidden_layers": 24}, "24 layers of width 100000 are more than its weights"),
        ({"vocab_size": 1e300}, "vocab_size = 1e+300"),
    ],
)
def test_an_encoder_far_larger_than_its_weights_is_not_built(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    from avpretext.sound import encoder_files

    (tmp_path / "config.json").write_text(json.dumps({"model_type": "wavlm", "hidden_size": 4, **changes}))
    (tmp_path / "preprocessor_config.json").write_text('{"sampling_rate": 16000}')
    save_file({"a": torch.zeros(10)}, tmp_path / "model.safetensors")
    with pytest.raises(UserError) as error:
        encoder_files.look_at("it", tmp_path, "encoder")
    assert message in str(error.value)
    (tmp_path / "config.json").unlink()
    (tmp_path / "config.json").touch()
    os.truncate(tmp_path / "config.json", 1 << 40)
    with pytest.raises(UserError, match="what describes it allows"):
        encoder_files.look_at("it", tmp_path, "encoder")

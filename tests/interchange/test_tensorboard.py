"""Training curves as TensorBoard events: read back record by record, with their checksums."""

import struct
from pathlib import Path

import pytest
from tensorboardX.crc32c import crc32c
from tensorboardX.proto.event_pb2 import Event

from avpretext import shards
from avpretext.errors import UserError
from avpretext.flow import schemas
from avpretext.interchange import tensorboard


def masked(data: bytes) -> int:
    """Return the checksum of TensorFlow's record format."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def events(path: Path) -> list[Event]:
    """Read an event file: length, its checksum, an event, its checksum, and so on."""
    data, place, found = path.read_bytes(), 0, []
    while place < len(data):
        head = data[place : place + 8]
        (length,) = struct.unpack("<Q", head)
        body = data[place + 12 : place + 12 + length]
        assert struct.unpack("<I", data[place + 8 : place + 12])[0] == masked(head)
        assert struct.unpack("<I", data[place + 12 + length : place + 16 + length])[0] == masked(body)
        found.append(Event.FromString(body))
        place += 16 + length
    return found


def curves(path: Path) -> dict[str, list[tuple[int, float]]]:
    told: dict[str, list[tuple[int, float]]] = {}
    for event in events(path)[1:]:
        for value in event.summary.value:
            told.setdefault(value.tag, []).append((event.step, round(value.simple_value, 6)))
    return told


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    pretrained = [
        {"seed": seed, "epoch": epoch, "split": split, "measure": "loss", "value": 1 / epoch + seed + (split == "dev")}
        for seed in (0, 1) for epoch in (1, 2) for split in ("train", "dev")
    ]  # fmt: skip
    shards.write_table(folder / "pretrain/mean/energy/history.parquet", pretrained, schemas.PRETRAIN_HISTORY, {})
    tuned = [
        {"initialisation": "scratch", "fold": fold, "seed": seed, "epoch": 1, "split": "dev", "measure": "uar",
         "value": fold + seed / 4}
        for fold in (0, 1) for seed in (0, 1)
    ]  # fmt: skip
    place = folder / "mine/finetune/acted.chou/base.mean/scratch/history.parquet"
    shards.write_table(place, tuned, schemas.FINETUNE_HISTORY, {})
    return folder


def test_curves_are_those_of_the_histories(results: Path, tmp_path: Path) -> None:
    runs = tensorboard.run(results, tmp_path / "log")
    assert runs == [
        *(f"mine/finetune/acted.chou/base.mean/scratch/fold{f}.seed{s}" for f in (0, 1) for s in (0, 1)),
        *(f"pretrain/mean/energy/seed{s}" for s in (0, 1)),
    ]
    told = curves(tmp_path / "log/pretrain/mean/energy/seed0" / tensorboard.EVENTS)
    assert told == {"loss/train": [(1, 1.0), (2, 0.5)], "loss/dev": [(1, 2.0), (2, 1.5)]}
    assert curves(tmp_path / "log" / runs[3] / tensorboard.EVENTS) == {"uar/dev": [(1, 1.25)]}


def test_the_first_event_says_the_version_and_the_bytes_are_the_same_each_time(results: Path, tmp_path: Path) -> None:
    files = []
    for log in ("one", "two"):
        tensorboard.run(results, tmp_path / log)
        files.append(tmp_path / log / "pretrain/mean/energy/seed1" / tensorboard.EVENTS)
    assert events(files[0])[0].file_version == "brain.Event:2"
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_folder_without_training_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="so nothing was trained there"):
        tensorboard.run(tmp_path, tmp_path / "log")

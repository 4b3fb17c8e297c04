"""Results in a bucket: what is moved beside Snakemake, and the states that a killed training leaves."""

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.workflow.plugins.snakemake_storage_plugin_folder import StorageProvider

from avpretext.errors import UserError
from avpretext.run.occupancy import Holder
from avpretext.run.states import States
from avpretext.run.store import Store


def machine(folder: Path, bucket: Path) -> Store:
    """Return the results in a bucket, as a machine with a disk of its own knows them."""
    provider = StorageProvider(local_prefix=folder, logger=logging.getLogger())
    workflow = SimpleNamespace(
        storage_registry=SimpleNamespace(default_storage_provider=provider),
        storage_settings=SimpleNamespace(default_storage_prefix=f"folder://{bucket}/run"),
    )
    return Store(workflow, "results")


@pytest.fixture
def machines(tmp_path: Path) -> tuple[Store, Store]:
    """Two machines with the same bucket."""
    return machine(tmp_path / "one", tmp_path / "bucket"), machine(tmp_path / "two", tmp_path / "bucket")


def test_a_folder_is_where_it_is() -> None:
    workflow = SimpleNamespace(
        storage_registry=SimpleNamespace(default_storage_provider=None),
        storage_settings=SimpleNamespace(default_storage_prefix=None),
    )
    store = Store(workflow, "/abs/results")
    assert (store.here("a/b"), store.name("a/b"), store.address("a/b")) == ("a/b", "a/b", "a/b")


def test_what_one_machine_writes_another_reads(machines: tuple[Store, Store]) -> None:
    one, two = machines
    place = Path(one.here("results/a/listing"))
    place.parent.mkdir(parents=True)
    place.write_text("clips")
    one.push(["results/a/listing"])
    two.pull(["results/a/listing", "results/a/nothing"])
    assert Path(two.here("results/a/listing")).read_text() == "clips"
    assert two.name(two.here("results/a/listing")) == "results/a/listing"
    assert two.copy_of(f"{two.address('results/a.log')} (send to storage)") == two.here("results/a.log")


def test_a_bucket_has_one_run_and_a_dead_one_of_this_machine_is_none(
    machines: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = machines
    monkeypatch.setattr("avpretext.locks.host", lambda: "here")
    first, second = Holder("1", "elsewhere", 5, "today", "snakemake"), Holder("2", "here", 6, "today", "snakemake")
    one.claim(first)
    with pytest.raises(UserError, match=r"results/\.avpretext/run: another run is at work in these results"):
        two.claim(second)
    one.release()
    two.claim(second)
    monkeypatch.setattr("avpretext.locks.is_alive", lambda pid: pid != second.pid)
    one.claim(first)


def test_another_machine_has_the_states_of_a_killed_training_and_not_those_of_one_that_is_done(
    machines: tuple[Store, Store], tmp_path: Path
) -> None:
    one, two = machines
    folder = Path("results/mine/finetune")
    state = Path(one.here(folder / "runs/0.epoch.safetensors"))
    state.parent.mkdir(parents=True)
    states = States(one, [folder])
    for epoch in ("1", "2"):
        state.write_text(epoch)
        states.keep()
    on_two = States(two, [folder])
    on_two.fetch()
    resumed = Path(two.here(folder / "runs/0.epoch.safetensors"))
    assert resumed.read_text() == "2"
    resumed.unlink()
    on_two.keep()
    assert not [path for path in (tmp_path / "bucket").rglob("*") if path.is_file()]

"""States of unfinished trainings in a bucket: a job that is killed with its machine resumes on another."""

import atexit
import json
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from avpretext.run.store import Store

PATTERNS = ("*resume.safetensors", "*.epoch.safetensors")
"""Names of the files with the states that trainings keep, see `training.finished`, and of runs that are done."""

EVERY_S = 60.0
"""Between two looks for states that have changed."""

_LIST = ".states.json"


class States:
    """The states that jobs keep below folders of the results, named as the workflow does."""

    def __init__(self, store: Store, folders: Iterable[Path]) -> None:
        self._store = store
        self._kept: dict[Path, dict[str, int]] = {folder: {} for folder in folders}
        self._over = threading.Event()

    def fetch(self) -> None:
        """Bring the states of earlier tries here."""
        for folder, kept in self._kept.items():
            self._store.pull([folder / _LIST])
            listed = Path(self._store.here(folder / _LIST))
            if listed.exists():
                names = json.loads(listed.read_text("utf-8"))
                self._store.pull(folder / name for name in names)
                kept.update(_found(Path(self._store.here(folder))))

    def keep(self) -> None:
        """Copy what has changed into the bucket, and remove what is gone here: the training is over."""
        for folder, kept in self._kept.items():
            here = Path(self._store.here(folder))
            found = _found(here)
            if found == kept:
                continue
            self._store.push(folder / name for name, time_ns in found.items() if kept.get(name) != time_ns)
            (here / _LIST).write_text(json.dumps(sorted(found)), "utf-8")
            self._store.push([folder / _LIST])
            gone = [*(kept.keys() - found.keys()), *([] if found else [_LIST])]
            self._store.remove(folder / name for name in gone)
            self._kept[folder] = found

    def watch(self) -> None:
        """Keep the states from now on, and once more when this process ends."""
        threading.Thread(target=self._keep_now_and_then, daemon=True).start()
        atexit.register(self._end)

    def _keep_now_and_then(self) -> None:
        while not self._over.wait(EVERY_S):
            self._try_to_keep()

    def _end(self) -> None:
        self._over.set()
        self._try_to_keep()

    def _try_to_keep(self) -> None:
        try:
            self.keep()
        except Exception as error:  # of whatever storage; the training goes on without it
            print(f"the states of this training could not be kept: {error}", file=sys.stderr)


def _found(folder: Path) -> dict[str, int]:
    """Return the states below a folder, and when each was written, in ns."""
    files = [file for pattern in PATTERNS for file in folder.rglob(pattern)]
    return {file.relative_to(folder).as_posix(): file.stat().st_mtime_ns for file in files}

"""Which tests are quick (`make check`), and how long a choice of tests will take: the one place for both.

Times are processor time, as `--durations` and the times of child processes had it on one core of 2 GHz: they hold on a
busy machine too.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping

from avpretext.progress import duration

SLOW_S: Mapping[str, float] = {
    "corpora/test_listening.py": 5,
    "demo/test_corpus.py": 10,
    "docs/test_blocks.py": 30,
    "docs/test_site.py": 12,
    "face/test_small_faces.py": 7,
    "inspect/test_movie.py": 7,
    "interchange/test_other_tools_page.py": 10,
    "labels/test_silent.py": 5,
    "media/test_bad_media.py": 10,
    "media/test_extensions.py": 4,
    "media/test_faults.py": 5,
    "media/test_flash_and_beep.py": 13,
    "media/test_fuzz.py": 5,
    "media/test_hostile.py": 6,
    "media/test_lost_sound.py": 13,
    "media/test_offset.py": 5,
    "media/test_split_stretches.py": 6,
    "media/test_truncated.py": 5,
    "models/test_biases.py": 4,
    "predict/test_encoder.py": 4,
    "predict/test_model.py": 9,
    "predict/test_moved.py": 8,
    "predict/test_onnx.py": 8,
    "predict/test_run.py": 6,
    "predict/test_speech_share.py": 16,
    "predict/test_standard_input.py": 14,
    "report/test_ablation_page.py": 4,
    "report/test_browser.py": 60,
    "report/test_first_screen.py": 8,
    "report/test_page.py": 14,
    "report/test_tables.py": 5,
    "serve/test_first_look.py": 8,
    "serve/test_web.py": 6,
    "test_envs.py": 4,
    "test_open_files.py": 19,
    "test_threads.py": 19,
    "training/test_deepemocluster.py": 7,
    "training/test_export.py": 11,
    "training/test_finetune.py": 20,
    "training/test_kill.py": 4,
    "training/test_pooled.py": 7,
    "training/test_pretrain.py": 7,
    "training/test_tracking.py": 8,
    "training/test_tuning.py": 33,
    "training/test_tuning_pretrain.py": 23,
}
"""Processor time of the files, below `tests`, that take 4 s or more; they are not among the quick tests."""

TESTS, WORKFLOW = "tests/", "tests/workflow/"
"""Tests of this folder start Snakemake: none of them is quick."""

EACH_S, EACH_OF_WORKFLOW_S = 0.032, 4.0
"""Mean processor time of a test of the other files, and of one of `WORKFLOW`."""

START_S = 15
"""What starting and collecting takes in each process."""


def is_quick(file: str) -> bool:
    """Tell whether the tests of a file are quick; its name is relative to the repository."""
    return file.removeprefix(TESTS) not in SLOW_S and not file.startswith(WORKFLOW)


def announced(nodeids: Iterable[str], processes: int) -> str:
    """Return how many tests these are and about how many minutes they take on this machine, if it is idle.

    >>> announced(["tests/test_a.py::test_b"] * 1000, processes=1)
    '1,000 tests, about 45 s on 1 idle core'
    """
    count = Counter(nodeid.partition("::")[0] for nodeid in nodeids)
    busy = min(processes, cores())
    seconds = START_S + sum(_seconds(file, tests) for file, tests in count.items()) / busy
    took, plural = duration(5 * round(seconds / 5)), "s" if busy > 1 else ""
    return f"{count.total():,} tests, about {took} on {busy} idle core{plural}"


def _seconds(file: str, tests: int) -> float:
    if (slow := SLOW_S.get(file.removeprefix(TESTS))) is not None:
        return slow
    return tests * (EACH_OF_WORKFLOW_S if file.startswith(WORKFLOW) else EACH_S)


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

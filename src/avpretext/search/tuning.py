"""The tool `search`: hyper-parameters by nested choice on dev speakers, within a budget of trials and minutes.

The values of each trial are drawn at random, by its number alone. A sampler that learns from scores would learn from
the dev speakers of all folds, some of which are test speakers of others; or it would need a search for each fold.
"""

import hashlib
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from avpretext import checkout
from avpretext.config import Config
from avpretext.config_file import load, parse
from avpretext.errors import UserError, nearest
from avpretext.evaluation import formats
from avpretext.evaluation.printed_search import CAVEAT, CHOICES, FILES
from avpretext.options.base import settled
from avpretext.search import choice, trial_runs
from avpretext.search.space import Space, changed, distributions, read, seed_of

JOURNAL = "optuna.journal"
STUDY = "avpretext"
SCORES = "dev"
"""Attribute of a trial: by corpus and setting, the dev score of each fold."""
MADE_FROM = "made_from"
"""Attribute of the study: a hash of what all its trials share."""
TESTED = ("measure", "value", "ci_low", "ci_high", "speakers", "clips")
"""What `test.csv` has of a measure."""


def run(
    config_file: Path, space_file: Path, trials: int, minutes: float, start: str, measure: str | None, cores: int
) -> Path:
    """Search, go on with an earlier search, or only write its tables; return the folder, `search` in the results.

    Parameters
    ----------
    config_file, space_file
        The configuration, and its keys to search, see `space.read`.
    trials
        Trials in all, besides the configuration as it is, which is number 0.
    minutes
        No trial is begun later.
    start
        Initialisation of fine-tuning.
    measure
        What dev chooses by; None: the main measure of the kind of target.
    cores
        Cores of each run of the workflow.
    """
    config = load(config_file)
    if start not in config.initialisations():
        known = config.initialisations()
        raise UserError(f"--initialisation {start}: expected one of {', '.join(known)}{nearest(start, known)}")
    content = yaml.safe_load(config_file.read_text("utf-8"))
    search = Search(config, content, read(space_file, content), start, measure, cores)
    search.folder.mkdir(parents=True, exist_ok=True)
    study = study_of(search)
    end = time.monotonic() + 60 * minutes
    while (trial := next_trial(study, search.space, config.seed, trials, end)) is not None:
        attempt(study, trial, search)
    write_tables(study, search)
    return search.folder


@dataclass(frozen=True)
class Search:
    """What all trials share; for the fields see `run`. `content` is that of the configuration file."""

    config: Config
    content: Mapping[str, Any]
    space: Space
    start: str
    measure: str | None
    cores: int

    @property
    def results(self) -> Path:
        """The results of the configuration as it is."""
        return Path(self.config.results)

    @property
    def folder(self) -> Path:
        """The folder of the search."""
        return self.results / "search"

    def place(self, trial: int) -> Path:
        """Return the results folder of a trial."""
        return self.folder / f"trial_{trial:03}"

    def content_of(self, trial: Any) -> dict[str, Any]:
        """Return the content of the configuration of a trial."""
        return changed(self.content, {**trial.params, "results": str(self.place(trial.number))})


def optuna() -> Any:
    """Return the module; it is an error if it is not installed."""
    if find_spec("optuna") is None:
        raise UserError(f"search: the package optuna is not installed; install it with: {checkout.PIP} optuna")
    return import_module("optuna")


def study_of(search: Search) -> Any:
    """Return Optuna's study in the folder of a search, a new one or that of the same search."""
    space = {key: str(values) for key, values in search.space.items()}
    told = [settled(search.config), space, search.start, search.measure]
    made_from = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    optuna().logging.set_verbosity(optuna().logging.WARNING)
    journal = import_module("optuna.storages.journal")
    storage = optuna().storages.JournalStorage(journal.JournalFileBackend(str(search.folder / JOURNAL)))
    study = optuna().create_study(storage=storage, study_name=STUDY, direction="maximize", load_if_exists=True)
    if study.user_attrs.get(MADE_FROM, made_from) != made_from:
        raise UserError(
            f"{search.folder}: a search of another configuration, space, initialisation or measure: move or remove it"
        )
    study.set_user_attr(MADE_FROM, made_from)
    return study


def next_trial(study: Any, space: Space, seed: int, trials: int, end: float) -> Any:
    """Return a trial that a killed search left, or a new one; None when the budget is used up."""
    known = study.get_trials(deepcopy=False)
    if any(one.state.is_finished() for one in known) and time.monotonic() > end:
        return None
    for one in known:
        if not one.state.is_finished():
            return optuna().trial.Trial(study, one._trial_id)
    if len(known) > trials:
        return None
    study.sampler = optuna().samplers.RandomSampler(seed_of(seed, len(known)))
    return study.ask(distributions(space) if known else {})


def attempt(study: Any, trial: Any, search: Search) -> None:
    """Run a trial and note its dev scores, or that it failed.

    Number 0 is made among the results of the configuration, and kept for the others, which begin with its files.

    Raises
    ------
    UserError
        Number 0 fails, or the results are not on a disk.
    """
    place, untuned = search.place(trial.number), trial.number == choice.UNTUNED
    print(f"search: {place.name}: {trial.params or 'the configuration as it is'}", file=sys.stderr)
    content, file, log = search.content_of(trial), place.with_suffix(".yaml"), place.with_suffix(".log")
    config = parse(content, str(file))
    if not untuned:
        trial_runs.link(search.place(choice.UNTUNED), place, config)
    file.write_text(yaml.safe_dump(search.content if untuned else content, sort_keys=False), "utf-8")
    wanted = trial_runs.targets(search.config if untuned else config, search.start)
    if not trial_runs.make(file, wanted, search.cores, log):
        if untuned:
            raise UserError(f"the configuration as it is does not run: {log} has the reason")
        print(f"search: {place.name} failed: see {log}", file=sys.stderr)
        study.tell(trial, state=optuna().trial.TrialState.FAIL)
        return
    if untuned and not search.results.is_dir():
        raise UserError(f"{search.results}: a search needs its results on a disk, not in a bucket")
    if untuned:
        trial_runs.link(search.results, place, config)
    found = {
        "/".join(key): choice.dev_scores(predictions, search.measure)
        for key, predictions in trial_runs.targets(config, search.start).items()
    }
    mean = float(np.mean([value for folds in found.values() for value in folds.values()]))
    if not np.isfinite(mean):
        print(f"search: {place.name} failed: its dev clips of a fold have no score", file=sys.stderr)
        study.tell(trial, state=optuna().trial.TrialState.FAIL)
        return
    trial.set_user_attr(SCORES, found)
    study.tell(trial, mean)


def write_tables(study: Any, search: Search) -> None:
    """Write `trials.csv`, `chosen.csv`, `test.csv` and `search.md` of the trials that are done."""
    done = study.get_trials(deepcopy=False, states=[optuna().trial.TrialState.COMPLETE])
    files = {one.number: trial_runs.targets(parse(search.content_of(one)), search.start) for one in done}
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in FILES}
    for key in files[choice.UNTUNED]:
        corpus, setting = key
        dev = {
            one.number: {int(fold): value for fold, value in one.user_attrs[SCORES]["/".join(key)].items()}
            for one in done
        }
        chosen = choice.choose(dev)
        predictions = {number: of_trial[key] for number, of_trial in files.items()}
        task, scored = choice.score_choices(chosen, predictions, search.config.evaluate, search.config.seed)
        named = {"corpus": corpus, "setting": setting, "initialisation": search.start}
        measure = search.measure or task.scoring.main
        for one in done:
            mean = float(np.mean(list(dev[one.number].values())))
            tables["trials"].append({**named, "trial": one.number, "measure": measure, "dev": mean, **one.params})
        for fold, number in chosen.nested.items():
            tables["chosen"].append({**named, "fold": fold, "trial": number, "dev": dev[number][fold]})
        taken = {"untuned": "0", "flat": str(chosen.flat), "nested": " ".join(map(str, chosen.nested.values()))}
        for row in scored:
            if row["class"] is None:
                tables["test"].append({**named, "choice": row["initialisation"], "trials": taken[row["initialisation"]],
                                       "chosen_by": measure, **{name: row[name] for name in TESTED}})  # fmt: skip
    for name, rows in tables.items():
        columns = list(dict.fromkeys(column for row in rows for column in row))
        formats.write_csv(search.folder / f"{name}.csv", columns, rows, places=6)
    formats.write_text(search.folder / "search.md", page(tables, search))


def page(tables: Mapping[str, list[dict[str, Any]]], search: Search) -> str:
    """Return the tables as Markdown: the test scores of each choice by the measure that chose, and the trials."""
    told = [row for row in tables["test"] if row["measure"] == row["chosen_by"]]
    test = [
        [row["corpus"], row["setting"], row["choice"], row["trials"], row["measure"], formats.decimal(row["value"], 3),
         f"{formats.decimal(row['ci_low'], 3)} to {formats.decimal(row['ci_high'], 3)}"]
        for row in told
    ]  # fmt: skip
    ranked = sorted(tables["trials"], key=lambda row: (row["corpus"], row["setting"], -row["dev"]))
    keys = [key for key in search.space if any(key in row for row in ranked)]
    trials = [
        [
            row["corpus"],
            row["setting"],
            str(row["trial"]),
            formats.decimal(row["dev"], 3),
            *(_text(row, key) for key in keys),
        ]
        for row in ranked
    ]
    header = [
        "corpus",
        "setting",
        "choice",
        "trials",
        "measure",
        "test",
        f"{search.config.evaluate.level:.0%} interval",
    ]
    return (
        f"# Search from {search.start}\n\n"
        f"{formats.listed([f'{name}: {meaning}' for name, meaning in CHOICES.items()])}\n{CAVEAT}\n\n"
        f"{formats.markdown(header, test, 5)}\nTrials by their mean dev score:\n\n"
        f"{formats.markdown(['corpus', 'setting', 'trial', 'dev', *keys], trials, 2)}"
    )


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key, "as it is")
    return f"{value:.4g}" if isinstance(value, float) else str(value)

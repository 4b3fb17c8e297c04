"""The configuration, checked, and what the rules ask of it."""

import json
import os
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

SOURCE = str(Path(workflow.basedir) / "src")
sys.path.insert(0, SOURCE)

from avpretext import corpora
from avpretext.config_file import parse as parse_config
from avpretext.errors import UserError
from avpretext.paths import Layout
from avpretext.stages import signature

try:
    CONFIG = parse_config(config, ", ".join(map(str, workflow.configfiles)) or "config")
    FINGERPRINTS = {
        name: corpora.fingerprints(corpora.scan(corpus), corpus.shards)
        for name, corpus in CONFIG.corpora.items()
    }
except UserError as error:
    raise WorkflowError(str(error)) from None

LAYOUT = Layout(CONFIG.results)
UNLABELLED = CONFIG.used_for("pretrain")
LABELLED = CONFIG.used_for("finetune")
WITH_VIDEO = CONFIG.with_video()
TASK_SETS = CONFIG.task_sets()
INITIALISATIONS = CONFIG.initialisations()
PRETRAINED = [LAYOUT.pretrain(tasks, "checkpoint.safetensors") for tasks in TASK_SETS]
ENVIRONMENT = "../../envs/avpretext.yaml"
WHOLE_CONFIG = json.dumps(CONFIG.model_dump(mode="json"))
SCORES = ("metrics", "runs", "comparisons", "confusion")
TABLES = ["main.csv", "main.md", "main.tex", "provenance.csv", "provenance.json"] + [
    f"{name}.csv"
    for name in (
        "per_class",
        "significance",
        "label_balance",
        "corpora",
        "rejects",
        "rejects_clips",
    )
]
TRUTH = (
    ["truth.csv", "truth_action_units.csv"]
    if any(corpus.truth for corpus in CONFIG.corpora.values())
    else []
)


def one_of(names):
    """Return a wildcard constraint that matches these names and nothing else."""
    return "|".join(names) or "(?!)"


wildcard_constraints:
    corpus=one_of(CONFIG.corpora),
    shard=r"\d{4}",
    tasks=one_of(TASK_SETS),
    initialisation=one_of(INITIALISATIONS),


def flag(name, value):
    """Return a command-line option with its value quoted for the shell."""
    return f"--{name} {shlex.quote(str(value))}"


def options(stage):
    """Return a param: the options and version of a stage; a change of it re-runs the stage and what follows."""

    def value(wildcards):
        return signature(stage, CONFIG, getattr(wildcards, "corpus", None))

    return value


def shards(corpus, stage, artefact=None):
    """Return all shards of a stage of a corpus."""
    return LAYOUT.shards(corpus, stage, CONFIG.corpora[corpus].shards, artefact)


def every_shard(stage, artefact=None):
    """Return an input function: all shards of a stage of the corpus in question."""
    return lambda wildcards: shards(wildcards.corpus, stage, artefact)


def shard_set(stage, artefact=None):
    """Return a param: the same shards in the short form of the command line, FOLDER@COUNT."""

    def value(wildcards):
        return shard_set_of(wildcards.corpus, stage, artefact)

    return value


def shard_set_of(corpus, stage, artefact=None):
    """Return all shards of a stage of a corpus as FOLDER@COUNT."""
    first = LAYOUT.shard(corpus, stage, 0, artefact)
    return f"{Path(first).parent}@{CONFIG.corpora[corpus].shards}"


def labels(corpus):
    """Return the pseudo-label tables of a corpus."""
    return [LAYOUT.corpus(corpus, f"labels_{task}") for task in CONFIG.tasks_of(corpus)]


def kept(path):
    """Return frames as an output that is removed once landmarks are found, unless they shall stay."""
    return path if CONFIG.split.keep_frames else temp(path)


def refusing(corpus):
    """Return the stages that can refuse clips of a corpus."""
    return ["index", "split", "speech"] + (
        ["landmarks"] if corpus in WITH_VIDEO else []
    )


def per_corpus(option, stage):
    """Return a param: `--option CORPUS=SHARDS` for every corpus that is pre-trained on."""
    return [
        flag(option, f"{corpus}={shard_set_of(corpus, stage)}") for corpus in UNLABELLED
    ]


def task_labels(wildcards):
    """Return the label tables of the tasks in question, as {corpus.task: path}."""
    return {
        f"{corpus}.{task}": LAYOUT.corpus(corpus, f"labels_{task}")
        for corpus in UNLABELLED
        for task in wildcards.tasks.split("-")
        if task in CONFIG.tasks_of(corpus)
    }


def start(wildcards):
    """Return the checkpoint that an initialisation starts from; none from scratch."""
    scratch = wildcards.initialisation == "scratch"
    return (
        []
        if scratch
        else LAYOUT.pretrain(wildcards.initialisation, "checkpoint.safetensors")
    )


def everything(wildcards):
    """Return what the tables and the report speak of."""
    return [
        *[
            LAYOUT.corpus(corpus, "evaluate", name)
            for corpus in LABELLED
            for name in SCORES
        ],
        *[LAYOUT.corpus(corpus, "rejects") for corpus in CONFIG.corpora],
        *[table for corpus in UNLABELLED for table in labels(corpus)],
        *[LAYOUT.pretrain(tasks, "history.parquet") for tasks in TASK_SETS],
    ]


# The package and its program are found without an activated environment; under --sdm conda, that environment's are.
prefix = f"export PYTHONPATH={shlex.quote(SOURCE)}; "
if not workflow.deployment_settings.deployment_method:
    prefix += f"export PATH={shlex.quote(os.path.dirname(sys.executable))}:$PATH; "
shell.prefix(prefix)

"""The configuration, checked, and what the rules ask of it."""

import functools
import json
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

SOURCE = str(Path(workflow.basedir) / "src")
sys.path.insert(0, SOURCE)

from avpretext import corpora
from avpretext.corpora import emobox, label_maps, listing
from avpretext.config_file import parse as parse_config
from avpretext.errors import UserError
from avpretext.paths import Layout
from avpretext.stages import signature

try:
    CONFIG = parse_config(config, ", ".join(map(str, workflow.configfiles)) or "config")
    SETTINGS = {
        name: corpora.settings_of(corpus) for name, corpus in CONFIG.corpora.items()
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
        "folds",
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
    return "|".join(re.escape(name) for name in names) or "(?!)"


@functools.cache
def files_of(corpus):
    """Return the clips of a corpus: what the run found when it began, for jobs that a cluster starts on their own."""
    options, found = CONFIG.corpora[corpus], None
    try:
        if not workflow.is_main_process:
            found = listing.files_from(Path(LAYOUT.listing(corpus)), options)
        return corpora.scan(options) if found is None else found
    except UserError as error:
        raise WorkflowError(str(error)) from None


@functools.cache
def fingerprints(corpus):
    """Return what changes, shard by shard, when a clip of a corpus is added, replaced or removed."""
    return corpora.fingerprints(files_of(corpus), CONFIG.corpora[corpus].shards)


# A corpus that is missing is said so before anything runs.
if workflow.is_main_process:
    for name in CONFIG.corpora:
        files_of(name)


onstart:
    for name, options in CONFIG.corpora.items():
        listing.write(files_of(name), options, Path(LAYOUT.listing(name)))


def annotations(wildcards):
    """Return an input: the files, beside its media, that labels and partitions of a corpus are read from."""
    options = CONFIG.corpora[wildcards.corpus]
    return corpora.reader_of(options).annotations(options)


def label_map_files(wildcards):
    """Return an input: the user's own file of the label map, if there is one."""
    return label_maps.map_files(CONFIG.corpora[wildcards.corpus])


def protocol_lists(wildcards):
    """Return an input: the lists of clips that a protocol is read from, if it is."""
    folder = CONFIG.corpora[wildcards.corpus].protocol.lists
    if folder is None:
        return []
    try:
        lists = emobox.list_files(Path(folder))
    except UserError as error:
        raise WorkflowError(str(error)) from None
    return [str(path) for parts in lists.values() for path in parts.values()]


def learnt_targets(corpus):
    """Return {name: target} of the label targets of a corpus that anything is trained on."""
    learnt = {setting.target_name: setting.target for setting in SETTINGS[corpus]}
    trains = any(corpus in other.protocol.train for other in CONFIG.corpora.values())
    return {**first_target(corpus), **learnt} if trains else learnt


def first_target(corpus):
    """Return {name: target} of what other corpora are tested with after training on this one."""
    options = CONFIG.corpora[corpus]
    first = corpora.targets_of(options)[0]
    return {corpora.target_name(options, first): first}


TARGETS = {name: learnt_targets(name) for name in CONFIG.corpora}
SETTING_NAMES = {
    setting.name: setting for settings in SETTINGS.values() for setting in settings
}


wildcard_constraints:
    corpus=one_of(CONFIG.corpora),
    shard=r"\d{4}",
    tasks=one_of(TASK_SETS),
    initialisation=one_of(INITIALISATIONS),
    setting=one_of(SETTING_NAMES),
    target=one_of({target for targets in TARGETS.values() for target in targets}),


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
    cut = ["segment"] if CONFIG.corpora[corpus].segment else []
    seen = ["landmarks"] if corpus in WITH_VIDEO else []
    return ["index", *cut, "split", "speech", *seen]


def clips(corpus):
    """Return the stage whose shards list the clips of a corpus: `segment` where recordings are cut into clips."""
    return "segment" if CONFIG.corpora[corpus].segment else "index"


def clips_shard(wildcards):
    """Return an input: the shard that lists the clips."""
    return LAYOUT.shard(wildcards.corpus, clips(wildcards.corpus), wildcards.shard)


def every_clips_shard(wildcards):
    """Return an input: all shards that list the clips of the corpus in question."""
    return shards(wildcards.corpus, clips(wildcards.corpus))


def clips_set(wildcards):
    """Return a param: the same shards as FOLDER@COUNT."""
    return shard_set_of(wildcards.corpus, clips(wildcards.corpus))


def per_corpus(option, names, stage, artefact=None):
    """Return a param: `--option CORPUS=SHARDS` for each corpus; `stage` may be a function of the corpus."""
    return [
        flag(
            option,
            f"{name}={shard_set_of(name, stage(name) if callable(stage) else stage, artefact)}",
        )
        for name in names
    ]


def learnt_shards(stage, artefact=None):
    """Return an input function: all shards of a stage of every corpus that a fine-tuning reads."""
    return lambda wildcards: [
        shard
        for name in CONFIG.learnt_from(wildcards.corpus)
        for shard in shards(name, stage(name) if callable(stage) else stage, artefact)
    ]


def learnt_shard_sets(option, stage, artefact=None):
    """Return a param: the same shards as `--option CORPUS=SHARDS`."""
    return lambda wildcards: per_corpus(
        option, CONFIG.learnt_from(wildcards.corpus), stage, artefact
    )


def target_tables(wildcards):
    """Return {corpus: table of label targets} of a setting: its own, and the first of each corpus it is trained on."""
    own = SETTING_NAMES[wildcards.setting].target_name
    return {
        name: LAYOUT.targets(
            name, own if name == wildcards.corpus else next(iter(first_target(name)))
        )
        for name in CONFIG.learnt_from(wildcards.corpus)
    }


def target_table_files(wildcards):
    """Return an input: the tables of label targets of a setting."""
    return list(target_tables(wildcards).values())


def target_table_flags(wildcards):
    """Return a param: the same tables as `--targets CORPUS=FILE`."""
    return [
        flag("targets", f"{name}={path}")
        for name, path in target_tables(wildcards).items()
    ]


def learnt_rejects(wildcards):
    """Return an input: proof that not too much was refused of any corpus that a fine-tuning reads."""
    return [
        LAYOUT.corpus(name, "rejects") for name in CONFIG.learnt_from(wildcards.corpus)
    ]


def counts_faces(corpus):
    """Tell whether the segments of a corpus are chosen by the faces in them."""
    return CONFIG.corpora[corpus].video and CONFIG.segment.one_face > 0


def scores(corpus, setting):
    """Return the files of scores of a setting."""
    return [LAYOUT.evaluate(corpus, setting, name) for name in SCORES]


def has_baseline(setting):
    """Tell whether a setting is compared with baselines: these learn one class of each clip, nothing else."""
    return bool(CONFIG.baseline.normalise) and SETTING_NAMES[setting].kind == "hard"


def predictions(wildcards):
    """Return an input: the predictions of every initialisation and baseline in a setting."""
    place = (wildcards.corpus, wildcards.setting)
    tuned = [
        LAYOUT.finetune(*place, start, "predictions.parquet")
        for start in INITIALISATIONS
    ]
    compared = [LAYOUT.baseline(*place)] if has_baseline(wildcards.setting) else []
    return tuned + compared


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
            path
            for corpus in LABELLED
            for setting in SETTINGS[corpus]
            for path in scores(corpus, setting.name)
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

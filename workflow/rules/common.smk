"""The configuration, checked, and what the rules ask of it."""

import functools
import gc
import json
import math
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# Of this file, not of the main Snakefile: a project's own may include ours from elsewhere.
SOURCE = str(Path(workflow.current_basedir).resolve().parents[1] / "src")
sys.path.insert(0, SOURCE)

from avpretext import corpora, shards
from avpretext.corpora import listing
from avpretext.config_file import parse as parse_config
from avpretext.run.contents import Content
from avpretext.errors import UserError
from avpretext.action_units import from_frames
from avpretext.options.base import places
from avpretext.run.plan import Plan
from avpretext.orofacial.orofacial_plan import OrofacialPlan
from avpretext.run.recipes import RESULTS
from avpretext.flow.stages import PLACES, signature, whole_signature
from avpretext.run.start import Start


def asked(function, *arguments):
    """Return what a function of the package says; a user's mistake is Snakemake's error, without a traceback."""
    try:
        return function(*arguments)
    except UserError as error:
        raise WorkflowError(str(error)) from None


CONFIG = asked(
    parse_config, config, ", ".join(map(str, workflow.configfiles)) or "config"
)
PLAN = asked(Plan, CONFIG)
LAYOUT = PLAN.layout
UNLABELLED = CONFIG.used_for("pretrain")
WITH_VIDEO = CONFIG.with_video()
TASK_SETS = CONFIG.task_sets()
PRETRAINED = PLAN.pretrained()
VARIANTS = {variant.name: variant for variant in [CONFIG.variant, *CONFIG.ablated()]}
ENVIRONMENT = "../../envs/avpretext.yaml"
PYFEAT = (
    CONFIG.action_units.pyfeat.python
    if CONFIG.action_units.backend == "pyfeat"
    else None
)
IMPORTED = CONFIG.action_units.backend == "import"
# These requests plan nothing, and need no corpus.
LISTS = {"--lint", "--list-rules", "--list", "-l", "--list-target-rules", "--lt"}
WHOLE_CONFIG = whole_signature(CONFIG)


def one_of(names):
    """Return a wildcard constraint that matches these names and nothing else."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


@functools.cache
def files_of(corpus):
    """Return the clips of a corpus: what the run found when it began, for jobs that a cluster starts on their own."""
    options, found = CONFIG.corpora[corpus], None
    if not workflow.is_main_process:
        found = listing.files_from(Path(LAYOUT.listing(corpus)), options)
    return asked(corpora.scan, options) if found is None else found


@functools.cache
def fingerprints(corpus):
    """Return what changes, shard by shard, when a clip of a corpus is added, replaced or removed."""
    return corpora.fingerprints(files_of(corpus), CONFIG.corpora[corpus].shards)


def fingerprint(corpus, shard):
    """Return that of one shard; a job that a cluster starts on its own reads no more of the listing than it needs."""
    found = None
    if not workflow.is_main_process:
        path, options = Path(LAYOUT.listing(corpus)), CONFIG.corpora[corpus]
        found = listing.fingerprint_from(path, options, shard)
    return fingerprints(corpus)[shard] if found is None else found


@functools.cache
def untimed_fingerprints(corpus):
    """Return the same but for the times of files, which a copy of the corpus may have changed."""
    return corpora.fingerprints(files_of(corpus), CONFIG.corpora[corpus].shards, False)


def clips_of(corpus, shard):
    """Return what tells the clips of a shard, for the recipe of the artefacts that are made from them."""
    return Content(untimed_fingerprints(corpus)[shard], fingerprints(corpus)[shard])


START = Start(CONFIG, clips_of)

# After a crash the ordinary command goes on; what is missing is said so before anything runs.
if workflow.is_main_process:
    START.join(asked)
    if os.path.exists(CONFIG.results) and not os.access(CONFIG.results, os.W_OK):
        asked(shards.check_writable, CONFIG.results)
    if PYFEAT and WITH_VIDEO:
        asked(au_pyfeat.check, CONFIG.action_units.pyfeat)
    for name in CONFIG.corpora if LISTS.isdisjoint(sys.argv) else ():
        asked(corpora.check_before_run, name, CONFIG.corpora[name], files_of(name))
    # Python looks through all objects now and then, while Snakemake makes many more: not through a million clips.
    gc.freeze()


onstart:
    asked(shards.check_writable, CONFIG.results)
    START.write(workflow.configfiles)
    for name, options in CONFIG.corpora.items():
        asked(listing.write, files_of(name), options, Path(LAYOUT.listing(name)))


onsuccess:
    if os.path.exists(LAYOUT.report()):
        print(
            f"Report: {LAYOUT.report()}; tables: {LAYOUT.table('')}",
            file=sys.stderr,
        )


wildcard_constraints:
    corpus=rf"({one_of(CONFIG.corpora)})(@({one_of(PLAN.speeds())}))?",
    speed=one_of(PLAN.speeds()),
    shard=r"\d{4}",
    tasks=one_of(TASK_SETS),
    initialisation=one_of(CONFIG.initialisations()),
    exported=one_of(CONFIG.export.initialisations),
    aggregator=one_of({variant.aggregator for variant in VARIANTS.values()}),
    variant=one_of(VARIANTS),
    setting=one_of(PLAN.setting_names()),
    target=one_of({name for targets in PLAN.targets.values() for name in targets}),


def flag(name, value):
    """Return a command-line option with its value quoted for the shell."""
    return f"--{name} {shlex.quote(str(value))}"


def options(stage):
    """Return a param: the options and version of a stage; a change of it re-runs the stage and what follows."""

    def of_job(wildcards):
        variant = VARIANTS.get(getattr(wildcards, "variant", None), CONFIG.variant)
        aggregator = getattr(wildcards, "aggregator", variant.aggregator)
        chosen = CONFIG.as_variant(variant._replace(aggregator=aggregator))
        return signature(stage, chosen, getattr(wildcards, "corpus", None))

    return of_job


def of_corpus(function, *arguments):
    """Return an input or a param: what a function of the plan says of the corpus in question."""
    return lambda wildcards: asked(function, wildcards.corpus, *arguments)


def every_shard(stage, artefact=None):
    """Return an input: all shards of a stage of the corpus in question."""
    return of_corpus(PLAN.shards, stage, artefact)


def shard_set(stage, artefact=None):
    """Return a param: the same shards in the short form of the command line, FOLDER@COUNT."""
    return of_corpus(PLAN.shard_set, stage, artefact)


def clips_shard(wildcards):
    """Return an input: the shard that lists the clips."""
    return LAYOUT.shard(wildcards.corpus, PLAN.clips(wildcards.corpus), wildcards.shard)


def gpus(device):
    """Return a resource: how many GPUs a job asks a cluster for, by the device that it shall run on."""
    return 0 if device == "cpu" else 1


def memory(base_mb, per_mb, at_once=1):
    """Return a resource: memory in MB, by the size of what a job reads, for each of so many runs at once.

    docs/cluster.md holds the figures against what jobs were measured to need.
    """

    def of_job(wildcards, input):
        # A dry run takes a missing file for "not known yet"; asking after the first spares it thousands of others.
        if workflow.dryrun:
            os.stat(input[0])
        return math.ceil(at_once * (base_mb + per_mb * input.size_mb))

    return of_job


def baseline_memory(wildcards, input):
    """Return a resource: the vectors, and with a Gaussian kernel 16 bytes for each pair of clips at every speed."""
    needed_mb = memory(1000, 8)(wildcards, input)
    if "rbf" in CONFIG.baseline.kernels:
        versions = 1 + len(PLAN.copies("baseline", wildcards.corpus))
        clips = versions * sum(shards.count_rows(table) for table in input.targets)
        needed_mb += math.ceil(16e-6 * clips**2)
    return needed_mb


def kept(path):
    """Return frames as an output that is removed once landmarks are found, unless they shall stay."""
    return path if CONFIG.split.keep_frames else temp(path)


def shard_sets(option, names, stage, artefact=None):
    """Return a param: all shards of a stage of several corpora, as `--option CORPUS=SHARDS`."""
    return [
        flag(option, f"{name}={PLAN.shard_set(name, stage, artefact)}")
        for name in names
    ]


def learnt_shards(stage, artefact=None):
    """Return an input: all shards of a stage of every corpus that a fine-tuning reads."""
    return lambda wildcards: [
        shard
        for name in CONFIG.learnt_from(wildcards.corpus)
        for shard in PLAN.shards(name, stage, artefact)
    ]


def learnt_shard_sets(option, stage, artefact=None):
    """Return a param: the same shards as `--option CORPUS=SHARDS`."""
    return lambda wildcards: shard_sets(
        option, CONFIG.learnt_from(wildcards.corpus), stage, artefact
    )


def heard_shards(training, stages):
    """Return an input: all shards of these stages that a training hears of its corpora, copies among them."""
    return lambda wildcards: [
        shard
        for name in PLAN.heard(training, wildcards.corpus)
        for stage in stages
        for shard in PLAN.shards(name, stage)
    ]


def heard_flags(option, training, stages):
    """Return a param: the same as `--option CORPUS.STAGE=SHARDS`."""
    return lambda wildcards: [
        flag(option, f"{name}.{stage}={PLAN.shard_set(name, stage)}")
        for name in PLAN.heard(training, wildcards.corpus)
        for stage in stages
    ]


def learnt_rejects(wildcards):
    """Return an input: proof that not too much was refused of any corpus that a fine-tuning reads."""
    return [
        LAYOUT.corpus(name, "rejects") for name in CONFIG.learnt_from(wildcards.corpus)
    ]


def target_tables(wildcards):
    """Return an input: the tables of label targets of a setting."""
    return list(PLAN.target_tables(wildcards.corpus, wildcards.setting).values())


def target_table_flags(wildcards):
    """Return a param: the same tables as `--targets CORPUS=FILE`."""
    tables = PLAN.target_tables(wildcards.corpus, wildcards.setting)
    return [flag("targets", f"{name}={path}") for name, path in tables.items()]


def start(wildcards):
    """Return an input: the checkpoints that an initialisation starts from; none from scratch."""
    return PLAN.start(VARIANTS[wildcards.variant], wildcards.initialisation)


def co_occurrence(wildcards):
    """Return an input: the matrix that the penalty loss needs; nothing for another loss."""
    asks = VARIANTS[wildcards.variant].loss == "penalty"
    return [LAYOUT.co_occurrence(wildcards.corpus, wildcards.setting)] if asks else []


def export_histories(wildcards):
    """Return {initialisation: history} of what an exported model is chosen from."""
    return PLAN.export_histories(
        wildcards.corpus, wildcards.setting, wildcards.exported
    )


def feature_files(names):
    """Return an input: what the model hears of these corpora."""
    return [path for name in names for path in asked(PLAN.feature_files, name)]


def feature_flags(names):
    """Return a param: the same as `--features CORPUS.NAME=SHARDS`."""
    return [
        flag("features", f"{name}.{feature}={files}")
        for name in names
        for feature, files in PLAN.features(name).items()
    ]


def learnt_features(wildcards):
    """Return an input: what the model hears of every corpus that a fine-tuning reads, at every speed."""
    return feature_files(PLAN.heard("finetune", wildcards.corpus))


def learnt_feature_flags(wildcards):
    """Return a param: the same as `--features CORPUS.NAME=SHARDS`."""
    return feature_flags(PLAN.heard("finetune", wildcards.corpus))


# The package and its program are found without an activated environment; under --sdm conda, that environment's are.
prefix = f"export PYTHONPATH={shlex.quote(SOURCE)}; "
if not workflow.deployment_settings.deployment_method:
    prefix += f"export PATH={shlex.quote(os.path.dirname(sys.executable))}:$PATH; "
# Not a param: another place of the same program redoes nothing.
prefix += f"export ACTION_UNITS_PYTHON={shlex.quote(PYFEAT or 'python')}; "
prefix += f"export {RESULTS}={shlex.quote(CONFIG.results)}; "
prefix += f"export {PLACES}={shlex.quote(json.dumps(places(CONFIG)))}; "
shell.prefix("{prefix}")

"""The configuration, checked, and what the rules ask of it."""

import functools
import gc
import itertools
import json
import math
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.io import flag
from snakemake.path_modifier import PATH_MODIFIER_FLAG
from snakemake.settings.types import DeploymentMethod

# Of this file, not of the main Snakefile: a project's own may include ours from elsewhere. Where the package is
# installed, or these rules come from a repository on the web, there is no source beside them.
SOURCE = str(Path(workflow.current_basedir).resolve().parents[1] / "src")
if os.path.isdir(SOURCE):
    sys.path.insert(0, SOURCE)
try:
    import avpretext
except ModuleNotFoundError:
    raise WorkflowError(
        f"the package avpretext is not installed for {sys.executable}, which runs Snakemake: "
        "pip install 'avpretext[workflow]'"
    ) from None

from avpretext import corpora, escapes, extras, programs, shards
from avpretext.corpora import enough, listing, silent
from avpretext.config_file import parse as parse_config
from avpretext.run import image, module_use, needs
from avpretext.run.digests import Content
from avpretext.errors import UserError
from avpretext.action_units import backends, from_frames
from avpretext.options.base import places
from avpretext.flow.result_tables import ABLATION_TABLES, UPSTREAM_TABLES, tables_of
from avpretext.run.dag import stage_of
from avpretext.run.expected import Expected
from avpretext.run.plan import Plan
from avpretext.run.plan_checks import check_machines
from avpretext.run.upstream_plan import UpstreamPlan
from avpretext.labels.emotion_table import own_table
from avpretext.media.bounds import DECODER_MB, limit_s
from avpretext.orofacial.orofacial_plan import SHOWN, OrofacialPlan
from avpretext.run import recipes
from avpretext.flow.artefacts import STAGES
from avpretext.flow.paths import COPIES, expand
from avpretext.run.signature import PLACES, signature
from avpretext.run.start import Start
from avpretext.run.store import Store
from avpretext.training import curves


def asked(function, *arguments):
    """Return what a function of the package says; a user's mistake is Snakemake's error, without a traceback."""
    try:
        with extras.told():
            return function(*arguments)
    except UserError as error:
        raise WorkflowError(escapes.terminal(str(error))) from None


module_use.take_prefix(workflow, config)
CONFIG = asked(
    parse_config, config, ", ".join(map(str, workflow.configfiles)) or "config"
)
asked(curves.check, CONFIG.tracking)
PLAN = asked(Plan, CONFIG)
FILES = PLAN.layout
STORE = asked(Store, workflow, CONFIG.results)
HERE = STORE.here(CONFIG.results)
UPSTREAMS = asked(UpstreamPlan, PLAN)
OROFACIAL = OrofacialPlan(PLAN)
UNLABELLED = CONFIG.heard_for_pretraining()
CONDITIONS = CONFIG.evaluate.conditions
WITH_VIDEO = CONFIG.with_video()
WITH_AUDIO = [name for name in CONFIG.with_clips() if CONFIG.corpora[name].audio]
COMPARED = [CONFIG.variant, *CONFIG.ablated(), *UPSTREAMS.variants.values()]
VARIANTS = {variant.name: variant for variant in COMPARED}
# Of several variants that start from the same pre-trainings, the first.
NETWORKS = {variant.network: variant for variant in reversed(COMPARED)}
# Networks whose pre-trained encoder learns in pre-training.
LEARNING = {
    name
    for name, variant in NETWORKS.items()
    if UPSTREAMS.of(variant).config.pretrain.encoder.tuned
}
PYFEAT = (
    CONFIG.action_units.pyfeat.python
    if CONFIG.action_units.backend == "pyfeat"
    else None
)
IMPORTED = "folder" in asked(backends.needs, CONFIG.action_units.backend)
METHODS = workflow.deployment_settings.deployment_method
CONTAINED = bool(CONFIG.container) and DeploymentMethod.APPTAINER in METHODS
# These requests plan nothing, and need no corpus.
LISTS = {"--lint", "--list-rules", "--list", "-l", "--list-target-rules", "--lt"}

# What jobs run in: this environment under --sdm conda, this image under --sdm apptainer.
ENVIRONMENT = "../../envs/avpretext.yaml"


container: CONFIG.container


def one_of(names):
    """Return a wildcard constraint that matches these names and nothing else."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def listing_of(corpus):
    """Return the file with what the run found of a corpus when it began."""
    return STORE.here(FILES.path("index.listing", corpus=corpus))


@functools.cache
def files_of(corpus):
    """Return the clips of a corpus: what the run found when it began, for jobs that a cluster starts on their own."""
    options, found = CONFIG.corpora[corpus], None
    if not workflow.is_main_process:
        found = listing.files_from(Path(listing_of(corpus)), options)
    return scanned(corpus)[0] if found is None else found


@functools.cache
def scanned(corpus):
    """Return the clips of a corpus by a scan, their fingerprints, and the endings of the files that it leaves out."""
    options = CONFIG.corpora[corpus]
    media = asked(corpora.media_files, options)
    files = asked(lambda: listing.Listed(corpora.find(options, None, media)))
    return files, corpora.fingerprints(files, options.shards), media.left_out


@functools.cache
def fingerprints(corpus):
    """Return what changes, shard by shard, when a clip of a corpus is added, replaced or removed."""
    if workflow.is_main_process:
        return scanned(corpus)[1]
    return corpora.fingerprints(files_of(corpus), CONFIG.corpora[corpus].shards)


def fingerprint(corpus, shard):
    """Return that of one shard; a job that a cluster starts on its own reads no more of the listing than it needs."""
    found = None
    if not workflow.is_main_process:
        options = CONFIG.corpora[corpus]
        found = listing.fingerprint_from(Path(listing_of(corpus)), options, shard)
    return fingerprints(corpus)[shard].timed if found is None else found


def clips_of(corpus, shard):
    """Return what tells the clips of a shard, for the recipe of the artefacts that are made from them."""
    return Content(*fingerprints(corpus)[shard])


START = Start(CONFIG, clips_of, STORE)

gc.set_threshold(20_000)
# After a crash the ordinary command goes on; what is missing is said so before anything runs.
if workflow.is_main_process:
    START.join(asked, Expected(CONFIG, files_of))
    if os.path.exists(HERE) and not os.access(HERE, os.W_OK):
        asked(shards.check_writable, HERE)
    if CONTAINED:
        asked(image.check, CONFIG.container)
        workflow.deployment_settings.apptainer_args += image.mounts(
            CONFIG, HERE, SOURCE
        )
    if PYFEAT and WITH_VIDEO:
        asked(from_frames.check, CONFIG.action_units.pyfeat)
    for name in PLAN.encoders if LISTS.isdisjoint(sys.argv) else ():
        asked(PLAN.encoder_files, name)
    for name in CONFIG.corpora if LISTS.isdisjoint(sys.argv) else ():
        asked(
            corpora.check_before_run,
            name,
            CONFIG.corpora[name],
            files_of(CONFIG.clips_of(name)),
        )
    # Python looks through all objects now and then, while Snakemake makes many more: not through a million clips.
    gc.freeze()
else:
    START.join_as_job()


module_use.join_handlers(workflow)


onstart:
    asked(shards.check_writable, HERE)
    asked(
        check_machines,
        max(map(machines_of, START.graph.needrun_jobs()), default=1),
        workflow.local_exec,
        os.environ,
    )
    asked(START.write, workflow.configfiles)
    START.look_ahead(
        workflow.resource_settings.cores or workflow.resource_settings.nodes or 1
    )
    if DeploymentMethod.APPTAINER in METHODS and not CONTAINED:
        print(image.NONE, file=sys.stderr)
    for sentence in silent.sentences(CONFIG):
        print(sentence, file=sys.stderr)
    for name in CONFIG.with_clips():
        files, prints, endings = scanned(name)
        for left_out in corpora.left_out(endings, CONFIG.corpora[name]):
            if left_out.wrong:
                print(f"{name}: {left_out.sentence}", file=sys.stderr)
        asked(
            listing.write,
            files,
            CONFIG.corpora[name],
            Path(listing_of(name)),
            prints,
        )
        STORE.push([FILES.path("index.listing", corpus=name)])


onerror:
    START.end()


onsuccess:
    START.end()
    pages = ("report", "ablate.page", "upstreams.page", "orofacial_tables.page")
    if STORE.is_remote:
        print(f"Results: {STORE.address(CONFIG.results)}", file=sys.stderr)
    elif made := [page for page in map(FILES.path, pages) if os.path.exists(page)]:
        tables = FILES.path("tables", table="")
        print(f"Pages: {', '.join(made)}; tables: {tables}", file=sys.stderr)
        for line in OROFACIAL.next_steps() if "orofacial" in sys.argv else ():
            print(line, file=sys.stderr)


wildcard_constraints:
    corpus=rf"({one_of(CONFIG.corpora)})(@({one_of(UPSTREAMS.speeds() + CONDITIONS)}))?",
    speed=one_of(UPSTREAMS.speeds()),
    condition=one_of(CONDITIONS),
    shard=r"\d{4}",
    tasks=one_of(UPSTREAMS.task_sets()),
    initialisation=one_of(UPSTREAMS.initialisations()),
    exported=one_of(CONFIG.export.initialisations),
    network=one_of(NETWORKS),
    variant=one_of(VARIANTS),
    setting=one_of(PLAN.setting_names()),
    encoder=one_of(CONFIG.encoders),
    target=one_of({name for targets in PLAN.targets.values() for name in targets}),


# What a rule reads and writes.


def path(artefact, **parts):
    """Return an input or output: the file of an artefact, whose wildcards are the rule's."""
    return FILES.path(artefact, **parts)


def every(artefact):
    """Return an input: all shards of an artefact of the corpus in question."""
    return lambda wildcards: PLAN.shards(wildcards.corpus, artefact)


def own(*files):
    """Return an input: files of the user's own, if any, which a storage plugin leaves where they are.

    They are not marked as `local`: Snakemake would run their jobs where it was started, training among them.
    """
    return [
        file if FILES.place_of(file) != file else flag(file, PATH_MODIFIER_FLAG)
        for file in files
        if file
    ]


def told_by_manifest():
    """Return an input: what the manifest rests on, where the job must be brought it.

    On a disk it is there, and the manifest changes with it: Snakemake plans each named file anew.
    """
    return PLAN.files if STORE.is_remote else []


def searched():
    """Return an input: the tables of a search of hyper-parameters, where there is one."""
    return sorted(map(str, Path(HERE, "search").glob("*.csv")))


def own_of(function):
    """Return an input: the user's own files that a function of the plan names of the corpus in question."""
    return lambda wildcards: own(*asked(function, wildcards.corpus))


def of_setting(function):
    """Return an input or a param: the same of a corpus and its setting."""
    return lambda wildcards: asked(function, wildcards.corpus, wildcards.setting)


def keyed(function):
    """Return an input: files that the command wants by name, from a function of wildcards to {name: files}."""

    def files(wildcards):
        named = asked(function, wildcards)
        return own(*(file for of_name in named.values() for file in of_name))

    files.named = function
    return files


def learnt(artefact):
    """Return an input: all shards of an artefact of every corpus that a fine-tuning learns from, by corpus."""
    return keyed(
        lambda wildcards: PLAN.of_corpora(
            artefact, CONFIG.learnt_from(wildcards.corpus)
        )
    )


@functools.cache
def clips_to_pretrain():
    """Return the listed clips of the corpora that pre-training hears; too few speakers stop the run at once."""
    if workflow.is_main_process:
        found = {name: (CONFIG.corpora[name], files_of(name)) for name in UNLABELLED}
        asked(enough.check_pretraining, found)
    return PLAN.of_corpora("clips", UNLABELLED)


@functools.cache
def clips_to_divide(corpus):
    """Return the listed clips of the corpora that folds name; too few speakers stop the run at once."""
    if workflow.is_main_process:
        files = files_of(CONFIG.clips_of(corpus))
        asked(enough.check_folds, corpus, CONFIG.corpora[corpus], files, CONFIG.seed)
    return PLAN.of_corpora("clips", CONFIG.learnt_from(corpus))


def targets_of(wildcards):
    """Return {corpus: table of label targets} of a setting."""
    return PLAN.target_tables(wildcards.corpus, wildcards.setting)


def heard(training, artefacts):
    """Return an input: all shards of artefacts that a training hears of its corpora, copies among them."""
    return keyed(
        lambda wildcards: PLAN.sets(artefacts, PLAN.heard(training, wildcards.corpus))
    )


def sound_encoder(name, wildcards):
    """Return the encoder by which a job of a stage reads sound, because it learns or has learnt; None: features."""
    told = dict(wildcards.items())
    return plan_of(wildcards).sound_encoder(
        name, told.get("initialisation"), told.get("exported")
    )


def features_of(name, corpora):
    """Return an input: what a training stage reads of corpora, a function of wildcards: features, or their sound."""
    return keyed(
        lambda wildcards: plan_of(wildcards).features(
            corpora(wildcards), sound_encoder(name, wildcards) is not None
        )
    )


def learnt_features(name):
    """Return an input: the same of every corpus that a fine-tuning reads, at every speed and in every condition."""
    return features_of(
        name,
        lambda wildcards: plan_of(wildcards).heard(name, wildcards.corpus),
    )


def clips_shard(wildcards):
    """Return an input: the shard that lists the clips."""
    return path(PLAN.clips(wildcards.corpus), **dict(wildcards.items()))


def every_clips_shard(wildcards):
    """Return an input: all shards that list the clips of the corpus in question."""
    return PLAN.shards(wildcards.corpus, PLAN.clips(wildcards.corpus))


def folder_of(wildcards):
    """Return a param: the folder of the corpus in question."""
    return CONFIG.corpora[wildcards.corpus].path


def sound(wildcards):
    """Return the words that tell a stage that opens sources to leave the sound alone; none where it is read."""
    return "" if CONFIG.corpora[wildcards.corpus].audio else "--sound ignored"


def variant_of(wildcards):
    """Return the variant of what a job trains, or the first that starts from it; that of the main table for others."""
    variant = VARIANTS.get(getattr(wildcards, "variant", None), CONFIG.variant)
    return NETWORKS.get(getattr(wildcards, "network", None), variant)


def plan_of(wildcards):
    """Return the plan by whose options a job trains: that of its upstream."""
    return UPSTREAMS.of(variant_of(wildcards))


def start(wildcards):
    """Return an input: the checkpoints that an initialisation starts from; none from scratch."""
    variant = VARIANTS[wildcards.variant]
    return own(*UPSTREAMS.of(variant).start(variant, wildcards.initialisation))


def co_occurrence(wildcards):
    """Return an input: the matrix that the penalty loss needs; nothing for another loss."""
    penalised = VARIANTS[wildcards.variant].loss == "penalty"
    return path("co_occurrence", **dict(wildcards.items())) if penalised else []


def learnt_rejects(wildcards):
    """Return an input: proof that not too much was refused of any corpus that a fine-tuning reads."""
    return [
        path("rejects", corpus=CONFIG.clips_of(name))
        for name in CONFIG.learnt_from(wildcards.corpus)
    ]


def of_faces(artefact):
    """Return an input: an artefact of every corpus that orofacial models learn from, by corpus."""
    return keyed(lambda wildcards: OROFACIAL.of_corpora(artefact))


def shown(stage, files):
    """Return an output: files that `snakemake --report` takes up, tables with what is in them."""
    made = []
    for file in [files] if isinstance(files, str) else files:
        name = os.path.basename(file)
        what = tables_of(stage).get(name, STAGES[stage].summary.rstrip("."))
        category = "Pages" if name.endswith(".html") else "Tables"
        told = {"file": name, "content": what}
        marked = report(file, "../report/file.rst", category=category, labels=told)
        made.append(marked)
    return made


def learnt_configurations():
    """Return outputs: what lies beside the weights of encoders that learn, which is no artefact of its own.

    On a disk it is there without being named; a bucket holds what is named.
    """
    if not STORE.is_remote or not LEARNING:
        return []
    heard = {UPSTREAMS.of(NETWORKS[name]).config.model.features[0] for name in LEARNING}
    of_each = [
        {file.name for file in asked(PLAN.encoder_files, name).beside} for name in heard
    ]
    weights = PLAN.learnt_encoders("{network}", "{tasks}")
    return [
        os.path.join(os.path.dirname(file), name)
        for file in weights
        for name in sorted(set.intersection(*of_each))
    ]


def kept(path):
    """Return frames as an output that is removed once landmarks are found, unless they shall stay."""
    return path if CONFIG.split.keep_frames else temp(path)


# What a command is told.

COMMAND = (
    "python -m avpretext {params.stage} {params.arguments} --threads {threads} "
    "--options {params.options:q} 2> {log:q}"
)
"""The command of every stage."""

TO_TABLES = f"--output {shlex.quote(STORE.here(FILES.path('tables', table='')))}"
"""Argument of a stage that writes some of the tables."""

INPUTS = {}
"""The inputs of each stage's rule by name, as the rule gives them."""

COMMAND_IN_FOLDER = COMMAND.replace("{threads}", "{threads} --folder {params.folder:q}")
"""The same of stages that open files of a corpus."""


@functools.cache
def signature_of(name, corpus, variant, encoder, heard):
    """Return the signature of a stage: jobs for many shards share it. `heard` is the encoder by which it reads sound."""
    chosen = UPSTREAMS.of(variant).config.as_variant(variant)
    chosen = chosen.as_encoder(encoder) if encoder else chosen
    return asked(signature, name, chosen, corpus, encoder or heard)


def stage(name, words="", folder=False, **more):
    """Return the params of a stage's rule: an edit of options or version re-runs it and what follows.

    The command is told every input and output that has a name in the rule; those without are only waited for.

    words: its other arguments, in which wildcards are filled in, or a function of wildcards that returns them.
    folder: the one output that it is told is the folder of the first.
    """

    def options(wildcards):
        return signature_of(
            name,
            getattr(wildcards, "corpus", None),
            variant_of(wildcards),
            getattr(wildcards, "encoder", None),
            sound_encoder(name, wildcards),
        )

    def arguments(wildcards, input, output):
        told = words(wildcards) if callable(words) else words
        for wildcard, value in wildcards.items():
            told = told.replace(f"{{{wildcard}}}", shlex.quote(value))
        outputs = {"output": [os.path.dirname(output[0])]} if folder else output
        said = [told]
        for option, files in input.items():
            named = getattr(INPUTS[name].get(option), "named", None)
            said += flags(
                option, parted(files, named(wildcards)) if named else {"": files}
            )
        for option, files in outputs.items():
            said += flags(option, {"": files})
        return " ".join(said)

    return {"stage": name, "options": options, "arguments": arguments, **more}


def parted(files, named):
    """Return the files of a job under the names of `named`, whose paths a storage plugin may have replaced."""
    remaining = iter(files)
    return {
        name: list(itertools.islice(remaining, len(paths)))
        for name, paths in named.items()
    }


def flags(option, named):
    """Return the command-line options for files by name: all shards of a folder as FOLDER@COUNT, a name as NAME=..."""
    said = []
    for name, files in named.items():
        groups = {}
        for file in [files] if isinstance(files, str) else files:
            folder, base = os.path.split(file)
            shard = base.removesuffix(".parquet").isdigit()
            groups.setdefault(folder if shard else file, []).append(file)
        for place, members in groups.items():
            short = f"{place}@{len(members)}"
            # A user's own files may have numbers for names that are no numbers of shards.
            is_short = len(members) > 1 and list(map(str, expand(short))) == members
            for text in [short] if is_short else members:
                value = shlex.quote(f"{name}={text}" if name else text)
                said.append(f"--{option.replace('_', '-')} {value}")
    return said


# What a job needs.

LONGEST_CLIP_MIN = math.ceil(limit_s(CONFIG.split.max_duration_s) / 60)
"""Processor time that one clip may take to decode; `runtime` of what opens sources leaves room for it."""


def gpus(device, processes=1):
    """Return a resource: the GPUs that a job asks a cluster for, one for each process; on a CPU no such resource.

    Kubernetes takes `gpu: 0` for a wish to have one.
    """
    return None if device == "cpu" else processes


def options_of(group, wildcards):
    """Return the options by which a job trains, of its upstream: `pretrain` or `finetune`."""
    return getattr(plan_of(wildcards).config, group)


def processes(options):
    """Return the number of processes that share a run: of an encoder that learns."""
    return options.encoder.processes if options.encoder.tuned else 1


def machines(options):
    """Return the number of machines that share a run: of an encoder that learns."""
    return options.encoder.machines if options.encoder.tuned else 1


def machines_of(job):
    """Return the number of machines that share a job; several only for a training."""
    groups = {"pretrain": "pretrain", "finetune": "finetune", "export": "finetune"}
    group = groups.get(stage_of(job))
    return machines(options_of(group, job.wildcards)) if group else 1


def training_threads(group, at_once):
    """Return the threads of a training: one for each of so many runs at once, or for each process of one."""
    return lambda wildcards: max(at_once, processes(options_of(group, wildcards)))


def processors(group):
    """Return resources: the GPUs of a training, one for each process, and the machines of Slurm that share its runs."""

    def asked_of(shared, of):
        def of_job(wildcards):
            options = options_of(group, wildcards)
            return of(options) if shared == (machines(options) > 1) else None

        return of_job

    def on_each(options):
        return gpus(options.device, processes(options))

    return {
        "gpu": asked_of(False, on_each),
        "nodes": asked_of(True, machines),
        "tasks": asked_of(True, machines),
        "mpi": asked_of(True, lambda options: "srun"),
        # `gpu` would be those of all machines, however they lie.
        "gres": asked_of(
            True,
            lambda options: f"gpu:{on_each(options)}" if on_each(options) else None,
        ),
        "tasks_per_gpu": asked_of(
            True, lambda options: 0 if on_each(options) else None
        ),
    }


def memory(base_mb, per_mb, at_once=1):
    """Return a resource: memory in MB, by the size of what a job reads, for each of so many runs at once.

    benchmarks/memory.md compares the requests with measured memory.
    """

    def of_job(wildcards, input):
        # A dry run takes a missing file for "not known yet"; asking after the first spares it thousands of others.
        if workflow.dryrun:
            os.stat(input[0])
        return math.ceil(at_once * (base_mb + per_mb * input.size_mb))

    return of_job


def minutes(base_min, per_mb):
    """Return a resource: minutes of a job that reads a whole corpus, by its size; three times those measured.

    benchmarks/size.md has the measured times.
    """
    return memory(base_min, per_mb)


def encoder_memory(wildcards, input):
    """Return a resource: the model, twice while it is opened; hidden states; the audio.

    The hidden states are those of 30 s per thread; on a GPU those of four batches, 0.6 % of the weights per second.
    """
    options = CONFIG.encoders[wildcards.encoder]
    model_mb = asked(PLAN.encoder_files, wildcards.encoder).megabytes
    states_mb = (
        500 * options.threads
        if options.device == "cpu"
        else 500 + 4 * options.batch_s * 0.006 * model_mb
    )
    return memory(1000 + 2 * model_mb + states_mb, 2.5)(wildcards, input)


def training_memory(stage, at_once):
    """Return a resource: that of each run; where sound is read, also an encoder and what its training holds.

    Of an encoder that learns, a run on a CPU holds .36 of the weights' size for each second of `batch_s` (.11 with
    checkpointing; measured on base models). Weights that learn are held nine times (start, weights, gradients,
    optimiser, averages; calculated).
    """
    group = "pretrain" if stage == "pretrain" else "finetune"

    def of_job(wildcards, input):
        options, name = options_of(group, wildcards), sound_encoder(stage, wildcards)
        tuning = options.encoder
        if name is None:
            needed = needs.PRETRAIN if stage == "pretrain" else needs.FINETUNE
            return memory(needed.of(0, at_once), needed.per_mb)(wildcards, input)
        model_mb = asked(PLAN.encoder_files, name).megabytes
        held_mb = model_mb * (9 if tuning.tune in ("full", "last_n") else 2)
        share = 0.11 if tuning.checkpointing else 0.36
        learns_here = tuning.tuned and options.device == "cpu"
        held_mb += share * model_mb * tuning.batch_s if learns_here else 0
        runs = max(at_once, tuning.processes)
        return memory(2000 + runs * held_mb, needs.FINETUNE.per_mb)(wildcards, input)

    return of_job


def pretrain_runtime(wildcards, input):
    """Return a resource: minutes of a pre-training of features on a CPU, by its size; else a day."""
    options = options_of("pretrain", wildcards)
    if options.device != "cpu" or sound_encoder("pretrain", wildcards) is not None:
        return needs.DAY_MIN
    one_by_one = math.ceil(CONFIG.pretrainings / PRETRAIN_THREADS)
    input_mb = memory(0, 1)(wildcards, input)
    twice = options.doubles(wildcards.tasks.split("-"))
    return needs.pretrain_minutes(input_mb, options.epochs, one_by_one, twice)


def baseline_memory(wildcards, input):
    """Return a resource: the vectors, and with a Gaussian kernel those of each pair of clips at every speed."""
    needed_mb = memory(needs.BASELINE.base_mb, needs.BASELINE.per_mb)(wildcards, input)
    if "rbf" in CONFIG.baseline.kernels:
        versions = 1 + len(PLAN.copies("baseline", wildcards.corpus))
        clips = versions * sum(shards.count_rows(table) for table in input.targets)
        needed_mb += math.ceil(needs.PAIR_MB * clips**2)
    return needed_mb


def recipes_of(paths):
    """Return inputs or outputs: with results in a bucket, the recipes beside files."""
    return (
        [str(recipes.beside(Path(path))) for path in paths] if STORE.is_remote else []
    )


def complete(of):
    """Name log and benchmark of a rule (`of`) like what it makes, and give it the environment of the package."""
    name = of.params.stage
    INPUTS[name] = dict(of.input.items())
    outputs = [snakemake.io.strip_wildcard_constraints(str(file)) for file in of.output]
    made = STORE.name(outputs[0])
    of.log_modifier = of.benchmark_modifier = of.ruleinfo.output.modifier
    of.set_log(FILES.beside("logs", ".log", name, made))
    of.benchmark = FILES.beside("benchmarks", ".tsv", name, made)
    of.conda_env = ENVIRONMENT
    of.set_output(*recipes_of(map(STORE.name, outputs)))
    wildcards = "/".join(
        f"{{wildcards.{part}}}" for part in re.findall(r"{(\w+)", made)
    )
    of.message = f"{name} {wildcards}".rstrip() + f": {STAGES[name].summary}"


# The package and its program are found without an activated environment; in an environment of conda or an image, those
# there are. Rules name no modules, so --sdm env-modules runs the jobs as without.
prefix = f"export PYTHONPATH={shlex.quote(SOURCE)}; " if os.path.isdir(SOURCE) else ""
prefix += f'export {programs.SHELLS_PATH}="$PATH"; '
if DeploymentMethod.CONDA not in METHODS and not CONTAINED:
    prefix += f"export PATH={shlex.quote(os.path.dirname(sys.executable))}:$PATH; "
# Not a param: another place of the same program redoes nothing.
prefix += f"export ACTION_UNITS_PYTHON={shlex.quote(PYFEAT or 'python')}; "
# Nothing of a pre-trained encoder is downloaded in a job.
prefix += "export HF_HUB_OFFLINE=1; "
prefix += f"export {recipes.RESULTS}={shlex.quote(HERE)}; "
prefix += f"export {PLACES}={shlex.quote(json.dumps(places(CONFIG)))}; "
if STORE.is_remote:
    prefix += f"export {COPIES}={shlex.quote(STORE.root)}; "
    # A machine of its own sees no lock of the run.
    prefix += "" if workflow.is_main_process else "unset AVPRETEXT_RUN; "


class shell(shell):
    """Snakemake's shell for the rules here: its prefix is not that of rules beside them."""


shell.prefix("{prefix}")

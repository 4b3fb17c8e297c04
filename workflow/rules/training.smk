"""Pre-training, fine-tuning and the baseline."""


rule pretrain:
    input:
        speech=[PLAN.shards(corpus, "speech") for corpus in UNLABELLED],
        index=[PLAN.shards(corpus, PLAN.clips) for corpus in UNLABELLED],
        labels=lambda wildcards: list(PLAN.task_labels(wildcards.tasks).values()),
    output:
        checkpoint=LAYOUT.pretrain("{tasks}", "checkpoint.safetensors"),
        history=LAYOUT.pretrain("{tasks}", "history.parquet"),
    log:
        LAYOUT.log("pretrain", "{tasks}"),
    benchmark:
        LAYOUT.benchmark("pretrain", "{tasks}")
    conda:
        ENVIRONMENT
    threads: CONFIG.pretrain.threads
    resources:
        mem_mb=4000,
        runtime=1440,
    params:
        options=options("pretrain"),
        speech=shard_sets("speech", UNLABELLED, "speech"),
        index=shard_sets("index", UNLABELLED, PLAN.clips),
        labels=lambda wildcards: [
            flag("labels", f"{name}={path}")
            for name, path in PLAN.task_labels(wildcards.tasks).items()
        ],
        folder=lambda wildcards, output: str(Path(output.checkpoint).parent),
    message:
        "pretrain {wildcards.tasks}"
    shell:
        "python -m avpretext pretrain {wildcards.tasks} {params.speech} {params.index} {params.labels} "
        "--output {params.folder:q} --threads {threads} --options {params.options:q} 2> {log:q}"


rule finetune:
    input:
        speech=learnt_shards("speech"),
        targets=target_tables,
        folds=LAYOUT.folds("{corpus}", "{setting}"),
        rejects=learnt_rejects,
        checkpoint=start,
    output:
        predictions=LAYOUT.finetune(
            "{corpus}", "{setting}", "{initialisation}", "predictions.parquet"
        ),
        history=LAYOUT.finetune(
            "{corpus}", "{setting}", "{initialisation}", "history.parquet"
        ),
    log:
        LAYOUT.log("{corpus}", "finetune", "{setting}", "{initialisation}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "finetune", "{setting}", "{initialisation}")
    conda:
        ENVIRONMENT
    threads: CONFIG.finetune.threads
    resources:
        mem_mb=4000,
        runtime=1440,
    params:
        options=options("finetune"),
        speech=learnt_shard_sets("speech", "speech"),
        targets=target_table_flags,
        checkpoint=lambda wildcards, input: (
            flag("checkpoint", input.checkpoint) if input.checkpoint else ""
        ),
        folder=lambda wildcards, output: str(Path(output.predictions).parent),
    message:
        "finetune {wildcards.corpus}/{wildcards.setting} from {wildcards.initialisation}: every fold and seed"
    shell:
        "python -m avpretext finetune {wildcards.initialisation} {params.speech} {params.targets} "
        "--folds {input.folds:q} {params.checkpoint} --output {params.folder:q} --threads {threads} "
        "--options {params.options:q} 2> {log:q}"


rule baseline:
    input:
        functionals=learnt_shards("functionals"),
        targets=target_tables,
        folds=LAYOUT.folds("{corpus}", "{setting}"),
        rejects=learnt_rejects,
    output:
        LAYOUT.baseline("{corpus}", "{setting}"),
    log:
        LAYOUT.log("{corpus}", "baseline", "{setting}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "baseline", "{setting}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        options=options("baseline"),
        functionals=learnt_shard_sets("functionals", "functionals"),
        targets=target_table_flags,
    message:
        "baseline {wildcards.corpus}/{wildcards.setting}: functionals and a linear support vector machine"
    shell:
        "python -m avpretext baseline {params.functionals} {params.targets} --folds {input.folds:q} --output {output:q} "
        "--options {params.options:q} 2> {log:q}"

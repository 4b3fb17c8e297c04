"""Pre-training and fine-tuning."""


rule pretrain:
    input:
        speech=[shards(corpus, "speech") for corpus in UNLABELLED],
        index=[shards(corpus, "index") for corpus in UNLABELLED],
        labels=lambda wildcards: list(task_labels(wildcards).values()),
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
        speech=per_corpus("speech", "speech"),
        index=per_corpus("index", "index"),
        labels=lambda wildcards: [
            flag("labels", f"{name}={path}")
            for name, path in task_labels(wildcards).items()
        ],
        folder=lambda wildcards, output: str(Path(output.checkpoint).parent),
    message:
        "pretrain {wildcards.tasks}"
    shell:
        "python -m avpretext pretrain {wildcards.tasks} {params.speech} {params.index} {params.labels} "
        "--output {params.folder:q} --threads {threads} --options {params.options:q} 2> {log:q}"


rule finetune:
    input:
        speech=every_shard("speech"),
        index=every_shard("index"),
        rejects=LAYOUT.corpus("{corpus}", "rejects"),
        checkpoint=start,
    output:
        predictions=LAYOUT.finetune(
            "{corpus}", "{initialisation}", "predictions.parquet"
        ),
        history=LAYOUT.finetune("{corpus}", "{initialisation}", "history.parquet"),
    log:
        LAYOUT.log("{corpus}", "finetune", "{initialisation}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "finetune", "{initialisation}")
    conda:
        ENVIRONMENT
    threads: CONFIG.finetune.threads
    resources:
        mem_mb=4000,
        runtime=1440,
    params:
        options=options("finetune"),
        speech=shard_set("speech"),
        index=shard_set("index"),
        checkpoint=lambda wildcards, input: (
            flag("checkpoint", input.checkpoint) if input.checkpoint else ""
        ),
        folder=lambda wildcards, output: str(Path(output.predictions).parent),
    message:
        "finetune {wildcards.corpus} from {wildcards.initialisation}: every fold and seed"
    shell:
        "python -m avpretext finetune {wildcards.initialisation} --speech {params.speech:q} --index {params.index:q} "
        "{params.checkpoint} --output {params.folder:q} --threads {threads} --options {params.options:q} 2> {log:q}"

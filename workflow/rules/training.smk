"""Pre-training, fine-tuning and the baseline."""


rule pretrain:
    input:
        features=feature_files(UNLABELLED),
        index=[PLAN.shards(corpus, PLAN.clips) for corpus in UNLABELLED],
        labels=lambda wildcards: list(PLAN.task_labels(wildcards.tasks).values()),
    output:
        checkpoints=PLAN.checkpoints("{aggregator}", "{tasks}"),
        history=LAYOUT.pretrain("{aggregator}", "{tasks}", "history.parquet"),
    log:
        LAYOUT.log("pretrain", "{aggregator}", "{tasks}"),
    benchmark:
        LAYOUT.benchmark("pretrain", "{aggregator}", "{tasks}")
    conda:
        ENVIRONMENT
    threads: min(CONFIG.pretrain.threads, CONFIG.pretrainings)
    resources:
        mem_mb=memory(1000, 4, min(CONFIG.pretrain.threads, CONFIG.pretrainings)),
        runtime=1440,
        gpu=gpus(CONFIG.pretrain.device),
    params:
        options=options("pretrain"),
        features=feature_flags(UNLABELLED),
        index=shard_sets("index", UNLABELLED, PLAN.clips),
        labels=lambda wildcards: [
            flag("labels", f"{name}={path}")
            for name, path in PLAN.task_labels(wildcards.tasks).items()
        ],
        folder=lambda wildcards, output: str(Path(output.history).parent),
    message:
        "pretrain {wildcards.tasks}, {wildcards.aggregator}: every seed"
    shell:
        "python -m avpretext pretrain {wildcards.tasks} {params.features} {params.index} {params.labels} "
        "--output {params.folder:q} --threads {threads} --options {params.options:q} 2> {log:q}"


rule finetune:
    input:
        features=learnt_features,
        targets=target_tables,
        folds=LAYOUT.folds("{corpus}", "{setting}"),
        rejects=learnt_rejects,
        co_occurrence=co_occurrence,
        checkpoints=start,
    output:
        predictions=LAYOUT.finetune(
            "{corpus}",
            "{setting}",
            "{variant}",
            "{initialisation}",
            "predictions.parquet",
        ),
        history=LAYOUT.finetune(
            "{corpus}",
            "{setting}",
            "{variant}",
            "{initialisation}",
            "history.parquet",
        ),
    log:
        LAYOUT.log("{corpus}", "finetune", "{setting}", "{variant}", "{initialisation}"),
    benchmark:
        LAYOUT.benchmark(
            "{corpus}", "finetune", "{setting}", "{variant}", "{initialisation}"
        )
    conda:
        ENVIRONMENT
    threads: CONFIG.finetune.threads
    resources:
        mem_mb=memory(1000, 4, CONFIG.finetune.threads),
        runtime=1440,
        gpu=gpus(CONFIG.finetune.device),
    params:
        options=options("finetune"),
        features=learnt_feature_flags,
        targets=target_table_flags,
        co_occurrence=lambda wildcards, input: (
            flag("co-occurrence", input.co_occurrence) if input.co_occurrence else ""
        ),
        checkpoints=lambda wildcards: [
            flag("checkpoint", path) for path in start(wildcards)
        ],
        folder=lambda wildcards, output: str(Path(output.predictions).parent),
    message:
        "finetune {wildcards.corpus}/{wildcards.setting} from {wildcards.initialisation}, {wildcards.variant}: "
        "every fold and seed"
    shell:
        "python -m avpretext finetune {wildcards.initialisation} {params.features} {params.targets} "
        "--folds {input.folds:q} {params.co_occurrence} {params.checkpoints} --output {params.folder:q} --threads {threads} "
        "--options {params.options:q} 2> {log:q}"


rule export:
    input:
        features=learnt_features,
        targets=target_tables,
        folds=LAYOUT.folds("{corpus}", "{setting}"),
        rejects=learnt_rejects,
        histories=lambda wildcards: list(export_histories(wildcards).values()),
        checkpoints=lambda wildcards: [
            path
            for paths in PLAN.export_starts(wildcards.exported).values()
            for path in paths
        ],
    output:
        model=LAYOUT.export("{corpus}", "{setting}", "{exported}", "model.json"),
        weights=LAYOUT.export(
            "{corpus}", "{setting}", "{exported}", "model.safetensors"
        ),
    log:
        LAYOUT.log("{corpus}", "export", "{setting}", "{exported}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "export", "{setting}", "{exported}")
    conda:
        ENVIRONMENT
    threads: min(CONFIG.finetune.threads, CONFIG.export.networks)
    resources:
        mem_mb=memory(1000, 4, min(CONFIG.finetune.threads, CONFIG.export.networks)),
        runtime=1440,
        gpu=gpus(CONFIG.finetune.device),
    params:
        options=options("export"),
        features=learnt_feature_flags,
        targets=target_table_flags,
        histories=lambda wildcards: [
            flag("history", f"{name}={path}")
            for name, path in export_histories(wildcards).items()
        ],
        checkpoints=lambda wildcards: [
            flag("checkpoint", f"{name}={path}")
            for name, paths in PLAN.export_starts(wildcards.exported).items()
            for path in paths
        ],
        folder=lambda wildcards, output: str(Path(output.model).parent),
    message:
        "export {wildcards.corpus}/{wildcards.setting} from {wildcards.exported}: a model to take away"
    shell:
        "python -m avpretext export {wildcards.exported} {params.features} {params.targets} --folds {input.folds:q} "
        "{params.histories} {params.checkpoints} --output {params.folder:q} --threads {threads} "
        "--options {params.options:q} 2> {log:q}"


rule co_occurrence:
    input:
        targets=target_tables,
        folds=LAYOUT.folds("{corpus}", "{setting}"),
    output:
        LAYOUT.co_occurrence("{corpus}", "{setting}"),
    log:
        LAYOUT.log("{corpus}", "co_occurrence", "{setting}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "co_occurrence", "{setting}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        options=options("co_occurrence"),
        targets=target_table_flags,
    message:
        "co_occurrence {wildcards.corpus}/{wildcards.setting}: emotions that raters name together"
    shell:
        "python -m avpretext co_occurrence {params.targets} --folds {input.folds:q} --output {output:q} 2> {log:q}"


rule deepemocluster:
    input:
        log_mel=heard_shards("deepemocluster", ["log_mel"]),
        index=[PLAN.shards(corpus, PLAN.clips) for corpus in UNLABELLED],
        targets=target_tables,
        folds=LAYOUT.folds("{corpus}", "{setting}"),
        rejects=learnt_rejects,
    output:
        predictions=LAYOUT.deepemocluster(
            "{corpus}", "{setting}", "predictions.parquet"
        ),
        history=LAYOUT.deepemocluster("{corpus}", "{setting}", "history.parquet"),
    log:
        LAYOUT.log("{corpus}", "deepemocluster", "{setting}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "deepemocluster", "{setting}")
    conda:
        ENVIRONMENT
    threads: CONFIG.deepemocluster.threads
    resources:
        mem_mb=memory(1000, 4),
        runtime=1440,
        gpu=gpus(CONFIG.deepemocluster.device),
    params:
        options=options("deepemocluster"),
        log_mel=heard_flags("features", "deepemocluster", ["log_mel"]),
        index=shard_sets("index", UNLABELLED, PLAN.clips),
        targets=target_table_flags,
        folder=lambda wildcards, output: str(Path(output.predictions).parent),
    message:
        "deepemocluster {wildcards.corpus}/{wildcards.setting}: k-means clusters beside labels, every fold and seed"
    shell:
        "python -m avpretext deepemocluster {params.log_mel} {params.index} {params.targets} --folds {input.folds:q} "
        "--output {params.folder:q} --threads {threads} --options {params.options:q} 2> {log:q}"


rule baseline:
    input:
        vectors=heard_shards("baseline", CONFIG.baseline.vectors),
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
        mem_mb=baseline_memory,
        runtime=240,
    params:
        options=options("baseline"),
        vectors=heard_flags("vectors", "baseline", CONFIG.baseline.vectors),
        targets=target_table_flags,
    message:
        "baseline {wildcards.corpus}/{wildcards.setting}: support vector machines on one vector per clip"
    shell:
        "python -m avpretext baseline {params.vectors} {params.targets} --folds {input.folds:q} --output {output:q} "
        "--options {params.options:q} 2> {log:q}"

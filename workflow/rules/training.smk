"""Pre-training, fine-tuning, the models to take away, and what fine-tuning is compared with."""

unlabelled_clips = keyed(lambda wildcards: PLAN.of_corpora("clips", UNLABELLED))
pretrained_clips = keyed(lambda wildcards: clips_to_pretrain())
PRETRAIN_THREADS = min(CONFIG.pretrain.threads, CONFIG.pretrainings)
EXPORT_THREADS = min(CONFIG.finetune.threads, CONFIG.export.networks)


rule pretrain:
    input:
        features=features_of("pretrain", lambda _: UNLABELLED),
        index=pretrained_clips,
        labels=keyed(lambda wildcards: PLAN.labels(wildcards.tasks)),
    output:
        history=path("pretrain.history"),
        checkpoints=PLAN.checkpoints("{network}", "{tasks}"),
    wildcard_constraints:
        network=one_of(set(NETWORKS) - LEARNING),
    threads: training_threads("pretrain", PRETRAIN_THREADS)
    resources:
        **processors("pretrain"),
        mem_mb=training_memory("pretrain", PRETRAIN_THREADS),
        runtime=pretrain_runtime,
    params:
        **stage("pretrain", "{tasks}", folder=True),
    shell:
        COMMAND


use rule pretrain as pretrain_encoder with:
    output:
        history=path("pretrain.history"),
        checkpoints=PLAN.checkpoints("{network}", "{tasks}"),
        encoders=PLAN.learnt_encoders("{network}", "{tasks}"),
        beside=learnt_configurations(),
    wildcard_constraints:
        network=one_of(LEARNING),


rule finetune:
    input:
        learnt_rejects,
        features=learnt_features("finetune"),
        targets=keyed(targets_of),
        folds=path("folds"),
        co_occurrence=co_occurrence,
        starts=start,
    output:
        predictions=path("finetune.predictions"),
        history=path("finetune.history"),
    threads: training_threads("finetune", CONFIG.finetune.threads)
    resources:
        **processors("finetune"),
        mem_mb=training_memory("finetune", CONFIG.finetune.threads),
        runtime=1440,
    params:
        **stage("finetune", "{initialisation}", folder=True),
    shell:
        COMMAND


rule export:
    input:
        learnt_rejects,
        features=learnt_features("export"),
        targets=keyed(targets_of),
        folds=path("folds"),
        histories=keyed(
            lambda wildcards: PLAN.export_histories(
                wildcards.corpus, wildcards.setting, wildcards.exported
            )
        ),
        starts=keyed(lambda wildcards: PLAN.export_starts(wildcards.exported)),
    output:
        model=path("export.model"),
        weights=path("export.weights"),
    threads: training_threads("finetune", EXPORT_THREADS)
    resources:
        **processors("finetune"),
        mem_mb=training_memory("export", EXPORT_THREADS),
        runtime=1440,
    params:
        **stage("export", "{exported}", folder=True),
    shell:
        COMMAND


rule co_occurrence:
    input:
        targets=keyed(targets_of),
        folds=path("folds"),
    output:
        output=path("co_occurrence"),
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        **stage("co_occurrence"),
    shell:
        COMMAND


rule deepemocluster:
    input:
        learnt_rejects,
        features=heard("deepemocluster", ["log_mel"]),
        index=unlabelled_clips,
        targets=keyed(targets_of),
        folds=path("folds"),
    output:
        predictions=path("deepemocluster.predictions"),
        history=path("deepemocluster.history"),
    threads: CONFIG.deepemocluster.threads
    resources:
        mem_mb=memory(needs.DEEPEMOCLUSTER.base_mb, needs.DEEPEMOCLUSTER.per_mb),
        runtime=1440,
        gpu=gpus(CONFIG.deepemocluster.device),
    params:
        **stage("deepemocluster", folder=True),
    shell:
        COMMAND


rule baseline:
    input:
        learnt_rejects,
        vectors=heard("baseline", CONFIG.baseline.vectors),
        targets=keyed(targets_of),
        folds=path("folds"),
    output:
        output=path("baseline.predictions"),
    resources:
        mem_mb=baseline_memory,
        runtime=240,
    params:
        **stage("baseline"),
    shell:
        COMMAND

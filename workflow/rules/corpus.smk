"""Which clips there are, what is to be learnt of them, and on which folds."""


rule index:
    output:
        clips=LAYOUT.shard("{corpus}", "index", "{shard}"),
        rejects=LAYOUT.shard("{corpus}", "index", "{shard}", "rejects"),
    log:
        LAYOUT.log("{corpus}", "index", "{shard}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "index", "{shard}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        options=options("index"),
        # Changes when a clip of this shard is added, replaced or removed: then this shard is made again, no other.
        clips=lambda wildcards: fingerprint(wildcards.corpus, int(wildcards.shard)),
        listing=lambda wildcards: LAYOUT.listing(wildcards.corpus),
    message:
        "index {wildcards.corpus}/{wildcards.shard}: list the clips"
    shell:
        "python -m avpretext index --corpus {wildcards.corpus} --shard $((10#{wildcards.shard})) "
        "--output {output.clips:q} --rejects {output.rejects:q} --listing {params.listing:q} "
        "--fingerprint {params.clips} --options {params.options:q} 2> {log:q}"


rule targets:
    input:
        clips=every_shard(PLAN.clips),
        annotations=of_corpus(PLAN.annotations),
        label_map=of_corpus(PLAN.label_map),
    output:
        LAYOUT.targets("{corpus}", "{target}"),
    log:
        LAYOUT.log("{corpus}", "targets", "{target}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "targets", "{target}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        options=options("targets"),
        target=lambda wildcards: PLAN.targets[wildcards.corpus][wildcards.target],
        clips=shard_set(PLAN.clips),
    message:
        "targets {wildcards.corpus}/{wildcards.target}: what is to be learnt of each clip"
    shell:
        "python -m avpretext targets {params.target:q} --corpus {wildcards.corpus} --clips {params.clips:q} "
        "--output {output:q} --options {params.options:q} 2> {log:q}"


rule folds:
    input:
        clips=learnt_shards(PLAN.clips),
        targets=target_tables,
        audio=learnt_shards("split", "audio"),
        annotations=of_corpus(PLAN.annotations),
        lists=of_corpus(PLAN.protocol_lists),
    output:
        LAYOUT.folds("{corpus}", "{setting}"),
    log:
        LAYOUT.log("{corpus}", "folds", "{setting}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "folds", "{setting}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        options=options("folds"),
        clips=learnt_shard_sets("clips", PLAN.clips),
        targets=target_table_flags,
        audio=learnt_shard_sets("audio", "split", "audio"),
    message:
        "folds {wildcards.corpus}/{wildcards.setting}: train, dev and test, checked for leaks"
    shell:
        "python -m avpretext folds {wildcards.setting:q} --corpus {wildcards.corpus} {params.clips} {params.targets} "
        "{params.audio} --output {output:q} --options {params.options:q} 2> {log:q}"

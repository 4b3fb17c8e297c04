"""Which clips there are, what is to be learnt of them, and on which folds."""


rule index:
    output:
        output=path("index"),
        rejects=path("index.rejects"),
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        **stage("index", "--corpus {corpus} --shard {shard}"),
        # Changes when a clip of this shard is added, replaced or removed: then this shard is made again, no other.
        clips=lambda wildcards: fingerprint(wildcards.corpus, int(wildcards.shard)),
        listing=lambda wildcards: listing_of(wildcards.corpus),
    shell:
        "python -m avpretext index {params.arguments} --listing {params.listing:q} --fingerprint {params.clips} "
        "--options {params.options:q} 2> {log:q}"


rule targets:
    input:
        own_of(PLAN.annotations),
        own_of(PLAN.label_map),
        clips=every_clips_shard,
    output:
        output=path("targets"),
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        **stage(
            "targets",
            lambda wildcards: f"{PLAN.targets[wildcards.corpus][wildcards.target]} --corpus {{corpus}}",
        ),
    shell:
        COMMAND


rule folds:
    input:
        own_of(PLAN.annotations),
        own_of(PLAN.protocol_lists),
        clips=keyed(lambda wildcards: clips_to_divide(wildcards.corpus)),
        targets=keyed(targets_of),
        audio=learnt("split.audio"),
    output:
        output=path("folds"),
    resources:
        mem_mb=memory(needs.FOLDS.base_mb, needs.FOLDS.per_mb),
        runtime=minutes(10, 0.001),
    params:
        **stage("folds", "{setting} --corpus {corpus}"),
    shell:
        COMMAND

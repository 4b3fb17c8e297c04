"""Features to pseudo-labels: one table per corpus, since thresholds look at all of it."""


rule labels_energy:
    input:
        speech=every_shard("speech"),
        index=every_shard(PLAN.clips),
        rejects=LAYOUT.corpus("{corpus}", "rejects"),
    output:
        LAYOUT.corpus("{corpus}", "labels_energy"),
    log:
        LAYOUT.log("{corpus}", "labels_energy"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "labels_energy")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(500, 0.1),
        runtime=30,
    params:
        options=options("labels_energy"),
        speech=shard_set("speech"),
        index=shard_set(PLAN.clips),
    message:
        "labels_energy {wildcards.corpus}: is the vocal energy varied in a chunk?"
    shell:
        "python -m avpretext labels_energy --speech {params.speech:q} --index {params.index:q} --output {output:q} "
        "--options {params.options:q} 2> {log:q}"


rule labels_activation:
    input:
        motion=every_shard("motion"),
        audio=every_shard("split", "audio"),
        rejects=LAYOUT.corpus("{corpus}", "rejects"),
    output:
        LAYOUT.corpus("{corpus}", "labels_activation"),
    log:
        LAYOUT.log("{corpus}", "labels_activation"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "labels_activation")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(500, 0.1),
        runtime=30,
    params:
        options=options("labels_activation"),
        motion=shard_set("motion"),
        audio=shard_set("split", "audio"),
    message:
        "labels_activation {wildcards.corpus}: is the face active in a chunk?"
    shell:
        "python -m avpretext labels_activation --motion {params.motion:q} --audio {params.audio:q} --output {output:q} "
        "--options {params.options:q} 2> {log:q}"


rule labels_emotion:
    input:
        action_units=every_shard("action_units"),
        rejects=LAYOUT.corpus("{corpus}", "rejects"),
        table=[CONFIG.labels.emotion.table] if CONFIG.labels.emotion.table else [],
    output:
        LAYOUT.corpus("{corpus}", "labels_emotion"),
    log:
        LAYOUT.log("{corpus}", "labels_emotion"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "labels_emotion")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(500, 0.1),
        runtime=30,
    params:
        options=options("labels_emotion"),
        action_units=shard_set("action_units"),
    message:
        "labels_emotion {wildcards.corpus}: which emotion do the action units of a clip show?"
    shell:
        "python -m avpretext labels_emotion --action-units {params.action_units:q} --output {output:q} "
        "--options {params.options:q} 2> {log:q}"

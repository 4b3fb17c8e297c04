"""Features to pseudo-labels: one table per corpus, since thresholds look at all of it."""


rule labels_energy:
    input:
        path("rejects"),
        speech=every("speech"),
        index=every_clips_shard,
    output:
        output=path("labels_energy"),
    resources:
        mem_mb=memory(500, 0.1),
        runtime=30,
    params:
        **stage("labels_energy"),
    shell:
        COMMAND


rule labels_activation:
    input:
        path("rejects"),
        motion=every("motion"),
        audio=every("split.audio"),
    output:
        output=path("labels_activation"),
    resources:
        mem_mb=memory(500, 0.1),
        runtime=30,
    params:
        **stage("labels_activation"),
    shell:
        COMMAND


rule labels_emotion:
    input:
        path("rejects"),
        [CONFIG.labels.emotion.table] if CONFIG.labels.emotion.table else [],
        action_units=every("action_units"),
    output:
        output=path("labels_emotion"),
    resources:
        mem_mb=memory(500, 0.1),
        runtime=30,
    params:
        **stage("labels_emotion"),
    shell:
        COMMAND

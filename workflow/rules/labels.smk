"""Features to pseudo-labels: one table per corpus, since thresholds look at all of it."""

OWN_EMOTIONS = own_table(CONFIG.labels.emotion.table)


rule labels_energy:
    input:
        path("rejects"),
        speech=every("speech"),
        index=every_clips_shard,
    output:
        output=path("labels_energy"),
    resources:
        mem_mb=memory(500, 0.02),
        runtime=minutes(30, 0.0005),
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
        mem_mb=memory(500, 0.05),
        runtime=minutes(30, 0.001),
    params:
        **stage("labels_activation"),
    shell:
        COMMAND


rule labels_emotion:
    input:
        path("rejects"),
        own(OWN_EMOTIONS),
        unpack(lambda wildcards: PLAN.emotion_inputs(wildcards.corpus)),
    output:
        output=path("labels_emotion"),
    resources:
        mem_mb=memory(500, 1),
        runtime=minutes(30, 0.02),
    params:
        **stage("labels_emotion"),
    shell:
        COMMAND

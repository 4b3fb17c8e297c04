"""Videos to audio and frames: the only rules that open a source.

A job that a fault of disk, memory or machine has ended is tried once more.
"""


rule segment:
    input:
        index=path("index"),
        face_model=lambda wildcards: (
            path("models") if PLAN.counts_faces(wildcards.corpus) else []
        ),
    output:
        output=path("segment"),
        rejects=path("segment.rejects"),
    wildcard_constraints:
        corpus=one_of(
            [name for name in CONFIG.with_clips() if PLAN.clips(name) == "segment"]
        ),
    retries: 1
    resources:
        mem_mb=500 + DECODER_MB,
        runtime=240,
    params:
        **stage(
            "segment",
            lambda wildcards: f"--corpus {wildcards.corpus} {sound(wildcards)}",
        ),
        folder=folder_of,
    shell:
        COMMAND_IN_FOLDER


rule split:
    input:
        index=clips_shard,
    output:
        audio=path("split.audio"),
        rejects=path("split.rejects"),
        frames=kept(path("split.frames")),
    wildcard_constraints:
        corpus=one_of(WITH_VIDEO if PLAN.stores_frames else []),
    retries: 1
    resources:
        mem_mb=500 + DECODER_MB,
        runtime=120 + LONGEST_CLIP_MIN,
    params:
        **stage("split", sound),
        folder=folder_of,
    shell:
        COMMAND_IN_FOLDER


use rule split as split_audio with:
    output:
        audio=path("split.audio"),
        rejects=path("split.rejects"),
    wildcard_constraints:
        corpus=one_of([name for name in CONFIG.with_clips() if name not in WITH_VIDEO]),


rule watch:
    input:
        index=clips_shard,
        model=path("models"),
    output:
        audio=path("split.audio"),
        rejects=path("split.rejects"),
        landmarks=path("landmarks"),
        faceless=path("landmarks.rejects"),
        preview=path("landmarks.preview"),
        thumbnails=path("landmarks.thumbnails"),
    wildcard_constraints:
        corpus=one_of([] if PLAN.stores_frames else WITH_VIDEO),
    retries: 1
    resources:
        mem_mb=1000 + DECODER_MB,
        runtime=240 + LONGEST_CLIP_MIN,
    params:
        **stage("watch", sound),
        folder=folder_of,
    shell:
        COMMAND_IN_FOLDER


rule rejects:
    input:
        clips=every_clips_shard,
        rejects=lambda wildcards: [
            shard
            for stage in PLAN.refusing(wildcards.corpus)
            for shard in PLAN.shards(wildcards.corpus, f"{stage}.rejects")
        ],
    output:
        output=path("rejects"),
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        **stage("rejects", "--corpus {corpus}"),
    shell:
        COMMAND

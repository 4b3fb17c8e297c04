"""Videos to audio and frames: the only rules that open a source."""


rule segment:
    input:
        index=LAYOUT.shard("{corpus}", "index", "{shard}"),
        model=lambda wildcards: (
            LAYOUT.models("face_landmarker.task")
            if PLAN.counts_faces(wildcards.corpus)
            else []
        ),
    output:
        clips=LAYOUT.shard("{corpus}", "segment", "{shard}"),
        rejects=LAYOUT.shard("{corpus}", "segment", "{shard}", "rejects"),
    log:
        LAYOUT.log("{corpus}", "segment", "{shard}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "segment", "{shard}")
    wildcard_constraints:
        corpus=one_of(
            [name for name in CONFIG.corpora if PLAN.clips(name) == "segment"]
        ),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        runtime=240,
    params:
        options=options("segment"),
        folder=lambda wildcards: CONFIG.corpora[wildcards.corpus].path,
        model=lambda wildcards, input: flag("model", input.model) if input.model else "",
    message:
        "segment {wildcards.corpus}/{wildcards.shard}: cut recordings into clips"
    shell:
        "python -m avpretext segment --corpus {wildcards.corpus} --index {input.index:q} --folder {params.folder:q} "
        "{params.model} --output {output.clips:q} --rejects {output.rejects:q} --options {params.options:q} 2> {log:q}"


rule split:
    input:
        clips_shard,
    output:
        audio=LAYOUT.shard("{corpus}", "split", "{shard}", "audio"),
        rejects=LAYOUT.shard("{corpus}", "split", "{shard}", "rejects"),
        frames=kept(LAYOUT.shard("{corpus}", "split", "{shard}", "frames")),
    log:
        LAYOUT.log("{corpus}", "split", "{shard}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "split", "{shard}")
    wildcard_constraints:
        corpus=one_of(WITH_VIDEO if PLAN.stores_frames else []),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        options=options("split"),
        folder=lambda wildcards: CONFIG.corpora[wildcards.corpus].path,
        frames=lambda wildcards, output: flag("frames", output.frames),
    message:
        "split {wildcards.corpus}/{wildcards.shard}: decode videos into audio and frames"
    shell:
        "python -m avpretext split --index {input:q} --folder {params.folder:q} --audio {output.audio:q} "
        "--rejects {output.rejects:q} {params.frames} --threads {threads} --options {params.options:q} 2> {log:q}"


use rule split as split_audio with:
    output:
        audio=LAYOUT.shard("{corpus}", "split", "{shard}", "audio"),
        rejects=LAYOUT.shard("{corpus}", "split", "{shard}", "rejects"),
    wildcard_constraints:
        corpus=one_of([name for name in CONFIG.corpora if name not in WITH_VIDEO]),
    params:
        options=options("split"),
        folder=lambda wildcards: CONFIG.corpora[wildcards.corpus].path,
        frames="",
    message:
        "split {wildcards.corpus}/{wildcards.shard}: decode the audio"


rule watch:
    input:
        clips=clips_shard,
        model=LAYOUT.models("face_landmarker.task"),
    output:
        audio=LAYOUT.shard("{corpus}", "split", "{shard}", "audio"),
        rejects=LAYOUT.shard("{corpus}", "split", "{shard}", "rejects"),
        landmarks=LAYOUT.shard("{corpus}", "landmarks", "{shard}"),
        faceless=LAYOUT.shard("{corpus}", "landmarks", "{shard}", "rejects"),
        preview=LAYOUT.shard("{corpus}", "landmarks", "{shard}", "preview"),
        thumbnails=LAYOUT.shard("{corpus}", "landmarks", "{shard}", "thumbnails"),
    log:
        LAYOUT.log("{corpus}", "watch", "{shard}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "watch", "{shard}")
    wildcard_constraints:
        corpus=one_of([] if PLAN.stores_frames else WITH_VIDEO),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
        runtime=240,
    params:
        options=options("watch"),
        folder=lambda wildcards: CONFIG.corpora[wildcards.corpus].path,
    message:
        "watch {wildcards.corpus}/{wildcards.shard}: decode videos, MediaPipe landmarks and blendshapes"
    shell:
        "python -m avpretext watch --index {input.clips:q} --folder {params.folder:q} --audio {output.audio:q} "
        "--rejects {output.rejects:q} --model {input.model:q} --landmarks {output.landmarks:q} "
        "--faceless {output.faceless:q} --preview {output.preview:q} --thumbnails {output.thumbnails:q} "
        "--threads {threads} --options {params.options:q} 2> {log:q}"


rule rejects:
    input:
        clips=every_shard(PLAN.clips),
        rejects=lambda wildcards: [
            shard
            for stage in PLAN.refusing(wildcards.corpus)
            for shard in PLAN.shards(wildcards.corpus, stage, "rejects")
        ],
    output:
        LAYOUT.corpus("{corpus}", "rejects"),
    log:
        LAYOUT.log("{corpus}", "rejects"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "rejects")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        options=options("rejects"),
        clips=shard_set(PLAN.clips),
        rejects=lambda wildcards: [
            flag("rejects", PLAN.shard_set(wildcards.corpus, stage, "rejects"))
            for stage in PLAN.refusing(wildcards.corpus)
        ],
    message:
        "rejects {wildcards.corpus}: gather refused clips"
    shell:
        "python -m avpretext rejects --corpus {wildcards.corpus} --clips {params.clips:q} {params.rejects} "
        "--output {output:q} --options {params.options:q} 2> {log:q}"

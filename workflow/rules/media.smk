"""Videos to audio and frames: the only rules that open a source."""


rule split:
    input:
        LAYOUT.shard("{corpus}", "index", "{shard}"),
    output:
        audio=LAYOUT.shard("{corpus}", "split", "{shard}", "audio"),
        rejects=LAYOUT.shard("{corpus}", "split", "{shard}", "rejects"),
        frames=kept(LAYOUT.shard("{corpus}", "split", "{shard}", "frames")),
    log:
        LAYOUT.log("{corpus}", "split", "{shard}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "split", "{shard}")
    wildcard_constraints:
        corpus=one_of(WITH_VIDEO),
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


rule rejects:
    input:
        index=every_shard("index"),
        rejects=lambda wildcards: [
            shard
            for stage in refusing(wildcards.corpus)
            for shard in shards(wildcards.corpus, stage, "rejects")
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
        index=shard_set("index"),
        rejects=lambda wildcards: [
            flag("rejects", shard_set_of(wildcards.corpus, stage, "rejects"))
            for stage in refusing(wildcards.corpus)
        ],
    message:
        "rejects {wildcards.corpus}: gather refused clips"
    shell:
        "python -m avpretext rejects --corpus {wildcards.corpus} --index {params.index:q} {params.rejects} "
        "--output {output:q} --options {params.options:q} 2> {log:q}"

"""Which clips there are."""


rule index:
    input:
        lambda wildcards: corpora.annotations(CONFIG.corpora[wildcards.corpus]),
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
        mem_mb=500,
        runtime=10,
    params:
        options=options("index"),
        # Changes when a clip of this shard is added, replaced or removed: then this shard is made again, no other.
        clips=lambda wildcards: FINGERPRINTS[wildcards.corpus][int(wildcards.shard)],
    message:
        "index {wildcards.corpus}/{wildcards.shard}: list the clips"
    shell:
        "python -m avpretext index --corpus {wildcards.corpus} --shard $((10#{wildcards.shard})) "
        "--output {output.clips:q} --rejects {output.rejects:q} --options {params.options:q} 2> {log:q}"

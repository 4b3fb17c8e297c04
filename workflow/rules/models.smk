"""Model files: the only rule that downloads, so it runs where Snakemake does: nodes of a cluster may lack internet."""


rule models:
    output:
        LAYOUT.models("face_landmarker.task"),
    log:
        LAYOUT.log("models"),
    benchmark:
        LAYOUT.benchmark("models")
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        options=options("models"),
    message:
        "models: fetch the face model and check its SHA-256"
    shell:
        "python -m avpretext models --output {output:q} --options {params.options:q} 2> {log:q}"

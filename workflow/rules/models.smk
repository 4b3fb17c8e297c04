"""Model files: the only rule that downloads, so it runs where Snakemake does: nodes of a cluster may lack internet."""


rule models:
    output:
        output=path("models"),
    localrule: True
    resources:
        mem_mb=500,
        runtime=10,
    params:
        **stage("models"),
    shell:
        COMMAND

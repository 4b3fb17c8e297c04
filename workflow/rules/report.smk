"""One page that shows what was done, to what, and what came of it."""


rule report:
    input:
        PLAN.everything(),
        rules.tables.output,
    output:
        LAYOUT.report(),
    log:
        LAYOUT.log("report"),
    benchmark:
        LAYOUT.benchmark("report")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        options=WHOLE_CONFIG,
    message:
        "report: one HTML page"
    shell:
        "python -m avpretext report --output {output:q} --options {params.options:q} 2> {log:q}"

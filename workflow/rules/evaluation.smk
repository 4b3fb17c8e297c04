"""Predictions to metrics and tables."""


rule ensemble:
    input:
        lambda wildcards: PLAN.alone(wildcards.corpus, wildcards.setting),
    output:
        LAYOUT.ensemble("{corpus}", "{setting}"),
    log:
        LAYOUT.log("{corpus}", "ensemble", "{setting}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "ensemble", "{setting}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        options=options("ensemble"),
        predictions=lambda wildcards, input: [
            flag("predictions", path) for path in input
        ],
    message:
        "ensemble {wildcards.corpus}/{wildcards.setting}: systems predict together"
    shell:
        "python -m avpretext ensemble {params.predictions} --output {output:q} --options {params.options:q} 2> {log:q}"


rule evaluate:
    input:
        lambda wildcards: PLAN.predictions(wildcards.corpus, wildcards.setting),
    output:
        PLAN.scores("{corpus}", "{setting}"),
    log:
        LAYOUT.log("{corpus}", "evaluate", "{setting}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "evaluate", "{setting}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        options=options("evaluate"),
        predictions=lambda wildcards, input: [
            flag("predictions", path) for path in input
        ],
        folder=lambda wildcards, output: str(Path(output[0]).parent),
    message:
        "evaluate {wildcards.corpus}/{wildcards.setting}: metrics, intervals, paired tests"
    shell:
        "python -m avpretext evaluate {params.predictions} --output {params.folder:q} "
        "--options {params.options:q} 2> {log:q}"


rule card:
    input:
        model=LAYOUT.export("{corpus}", "{setting}", "{exported}", "model.json"),
        metrics=LAYOUT.evaluate("{corpus}", "{setting}", "metrics"),
    output:
        readme=LAYOUT.export("{corpus}", "{setting}", "{exported}", "README.md"),
        card=LAYOUT.export("{corpus}", "{setting}", "{exported}", "card.json"),
    log:
        LAYOUT.log("{corpus}", "card", "{setting}", "{exported}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "card", "{setting}", "{exported}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        options=options("card"),
        folder=lambda wildcards, output: str(Path(output.card).parent),
    message:
        "card {wildcards.corpus}/{wildcards.setting} from {wildcards.exported}: what is to be known of the model"
    shell:
        "python -m avpretext card --model {input.model:q} --metrics {input.metrics:q} --corpus {wildcards.corpus:q} "
        "--output {params.folder:q} --options {params.options:q} 2> {log:q}"


rule ablate:
    input:
        PLAN.ablation(),
        PLAN.ablation_beside(),
    output:
        tables=PLAN.ablation_tables(),
        page=LAYOUT.ablation_page(),
    log:
        LAYOUT.log("ablate"),
    benchmark:
        LAYOUT.benchmark("ablate")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        options=WHOLE_CONFIG,
        folder=lambda wildcards, output: str(Path(output.tables[0]).parent),
    message:
        "ablate: every initialisation, loss and aggregator side by side"
    shell:
        "python -m avpretext ablate --output {params.folder:q} --page {output.page:q} --options {params.options:q} "
        "2> {log:q}"


rule tables:
    input:
        PLAN.everything(),
    output:
        PLAN.tables(),
    log:
        LAYOUT.log("tables"),
    benchmark:
        LAYOUT.benchmark("tables")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        options=WHOLE_CONFIG,
        folder=lambda wildcards, output: str(Path(output[0]).parent),
    message:
        "tables: CSV, Markdown, LaTeX"
    shell:
        "python -m avpretext tables --output {params.folder:q} --options {params.options:q} 2> {log:q}"

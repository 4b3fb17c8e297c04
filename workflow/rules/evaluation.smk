"""Predictions to metrics, tables and pages."""


rule ensemble:
    input:
        predictions=of_setting(PLAN.alone),
    output:
        output=path("ensemble.predictions"),
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        **stage("ensemble"),
    shell:
        COMMAND


rule phone_scores:
    input:
        [
            PLAN.shards(corpus, artefact)
            for corpus in CONFIG.with_truth()
            for artefact in ("phones", "split.audio")
        ],
    output:
        output=path("phone_scores"),
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        **stage("phone_scores"),
    shell:
        COMMAND


rule evaluate:
    input:
        predictions=of_setting(PLAN.predictions),
    output:
        [path(f"evaluate.{part}") for part in STAGES["evaluate"].writes],
    resources:
        mem_mb=memory(needs.SCORES.base_mb, needs.SCORES.per_mb),
        runtime=30,
    params:
        **stage("evaluate", folder=True),
    shell:
        COMMAND


rule trust:
    input:
        own_of(PLAN.annotations),
        own_of(PLAN.people_files),
        own_of(PLAN.label_map),
        predictions=of_setting(PLAN.predictions),
        targets=of_setting(PLAN.own_targets),
    output:
        [path(f"trust.{part}") for part in STAGES["trust"].writes],
    resources:
        mem_mb=memory(needs.SCORES.base_mb, needs.SCORES.per_mb),
        runtime=30,
    params:
        **stage("trust", "--corpus {corpus}", folder=True),
    shell:
        COMMAND


rule overall:
    input:
        PLAN.scored_together(),
    output:
        output=path("overall"),
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        **stage("overall"),
    shell:
        COMMAND


rule card:
    input:
        model=path("export.model"),
        metrics=path("evaluate.metrics"),
    output:
        readme=path("card.readme"),
        card=path("card.card"),
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        **stage(
            "card",
            lambda wildcards: " ".join(
                [
                    "--corpus {corpus}",
                    *(
                        f"--readers {name}={CONFIG.corpora[name].reader}"
                        for name in CONFIG.corpora[wildcards.corpus].protocol.train
                    ),
                ]
            ),
            folder=True,
        ),
    shell:
        COMMAND


rule manifest:
    input:
        PLAN.files,
        # Parquet files hold theirs themselves.
        recipes_of(file for file in PLAN.files if not file.endswith(".parquet")),
    output:
        output=path("manifest"),
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        **stage("manifest"),
    shell:
        COMMAND


rule ablate:
    input:
        PLAN.ablation(),
    output:
        shown("ablate", PLAN.named_tables(ABLATION_TABLES)),
        page=shown("ablate", path("ablate.page")),
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **stage("ablate", TO_TABLES),
    shell:
        COMMAND


rule upstreams:
    input:
        lambda wildcards: asked(UPSTREAMS.predictions),
    output:
        shown("upstreams", PLAN.named_tables(UPSTREAM_TABLES)),
        page=shown("upstreams", path("upstreams.page")),
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        **stage("upstreams", TO_TABLES),
    shell:
        COMMAND


rule tables:
    input:
        path("manifest"),
        told_by_manifest(),
    output:
        shown("tables", PLAN.tables()),
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        **stage("tables", folder=True),
    shell:
        COMMAND


rule report:
    input:
        path("manifest"),
        told_by_manifest(),
        PLAN.tables(),
        searched(),
    output:
        output=shown("report", path("report")),
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        **stage("report"),
    shell:
        COMMAND


rule figures:
    input:
        path("manifest"),
        told_by_manifest(),
        PLAN.tables(),
        searched(),
    output:
        output=directory(path("figures")),
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        **stage("figures"),
    shell:
        COMMAND

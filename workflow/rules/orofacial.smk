"""Speech that moves a face: what moves, models that predict it, how well they do, and how it looks."""

OROFACIAL = OrofacialPlan(PLAN)


rule resting_shape:
    input:
        landmarks=every_shard("landmarks"),
        index=every_shard(PLAN.clips),
        neutral=LAYOUT.corpus("{corpus}", "neutral"),
    output:
        LAYOUT.corpus("{corpus}", "resting_shape"),
    log:
        LAYOUT.log("{corpus}", "resting_shape"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "resting_shape")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(500, 0.5),
        runtime=60,
    params:
        options=options("resting_shape"),
        landmarks=shard_set("landmarks"),
        index=shard_set(PLAN.clips),
    message:
        "resting_shape {wildcards.corpus}: the lower face of each speaker at rest"
    shell:
        "python -m avpretext resting_shape --landmarks {params.landmarks:q} --index {params.index:q} "
        "--neutral {input.neutral:q} --output {output:q} 2> {log:q}"


rule lower_face:
    input:
        landmarks=LAYOUT.shard("{corpus}", "landmarks", "{shard}"),
        index=clips_shard,
        shape=LAYOUT.corpus("{corpus}", "resting_shape"),
    output:
        LAYOUT.shard("{corpus}", "lower_face", "{shard}"),
    log:
        LAYOUT.log("{corpus}", "lower_face", "{shard}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "lower_face", "{shard}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        options=options("lower_face"),
    message:
        "lower_face {wildcards.corpus}/{wildcards.shard}: movement of lips, jaw and cheeks from rest"
    shell:
        "python -m avpretext lower_face --landmarks {input.landmarks:q} --index {input.index:q} --shape {input.shape:q} "
        "--output {output:q} 2> {log:q}"


rule orofacial_system:
    input:
        lambda wildcards: asked(OROFACIAL.checked).files(),
    output:
        **OROFACIAL.results(),
    log:
        LAYOUT.log("orofacial", "{system}"),
    benchmark:
        LAYOUT.benchmark("orofacial", "{system}")
    wildcard_constraints:
        system=one_of(CONFIG.orofacial.systems),
    conda:
        ENVIRONMENT
    threads: CONFIG.orofacial.threads
    resources:
        mem_mb=memory(1000, 8, CONFIG.orofacial.threads),
        runtime=1440,
        gpu=gpus(CONFIG.orofacial.device),
    params:
        options=options("orofacial_system"),
        files=[flag(name, value) for name, value in OROFACIAL.arguments()],
        folder=lambda wildcards, output: str(Path(output.predictions).parent),
    message:
        "orofacial {wildcards.system}: speech moves a face, every fold and seed"
    shell:
        "python -m avpretext orofacial_system {wildcards.system} {params.files} --output {params.folder:q} --threads {threads} "
        "--options {params.options:q} 2> {log:q}"


rule orofacial_tables:
    input:
        OROFACIAL.predictions(),
        OROFACIAL.films(),
    output:
        tables=OROFACIAL.tables(),
        page=LAYOUT.orofacial_page(),
    log:
        LAYOUT.log("orofacial_tables"),
    benchmark:
        LAYOUT.benchmark("orofacial_tables")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(1000, 4),
        runtime=60,
    params:
        options=WHOLE_CONFIG,
        folder=lambda wildcards, output: str(Path(output.tables[0]).parent),
    message:
        "orofacial_tables: single, joint and cascade side by side"
    shell:
        "python -m avpretext orofacial_tables --output {params.folder:q} --page {output.page:q} "
        "--options {params.options:q} 2> {log:q}"


rule film:
    input:
        predictions=lambda wildcards: LAYOUT.orofacial(
            CONFIG.orofacial.film_system, "predictions.parquet"
        ),
    output:
        directory(str(Path(CONFIG.results) / "orofacial" / "films")),
    log:
        LAYOUT.log("film"),
    benchmark:
        LAYOUT.benchmark("film")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        options=WHOLE_CONFIG,
    message:
        "film: test clips beside the face that their speech moves"
    shell:
        "python -m avpretext film --output {output:q} --options {params.options:q} 2> {log:q}"

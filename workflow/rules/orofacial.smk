"""Speech that moves a face: what moves, models that predict it, how well they do, and how it looks."""


rule resting_shape:
    input:
        landmarks=every("landmarks"),
        index=every_clips_shard,
        neutral=path("neutral"),
    output:
        output=path("resting_shape"),
    resources:
        mem_mb=memory(500, 0.5),
        runtime=60,
    params:
        **stage("resting_shape"),
    shell:
        COMMAND


rule lower_face:
    input:
        landmarks=path("landmarks"),
        index=clips_shard,
        shape=path("resting_shape"),
    output:
        output=path("lower_face"),
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        **stage("lower_face"),
    shell:
        COMMAND


rule orofacial_system:
    input:
        of_faces("rejects"),
        features=keyed(lambda wildcards: OROFACIAL.features()),
        movement=of_faces("lower_face"),
        index=of_faces("clips"),
        shape=of_faces("resting_shape"),
        phones=of_faces("phones"),
        emotions=keyed(lambda wildcards: OROFACIAL.emotions()),
        checkpoint=own(CONFIG.orofacial.checkpoint),
    output:
        **OROFACIAL.of_system(),
    wildcard_constraints:
        system=one_of(CONFIG.orofacial.systems),
    threads: CONFIG.orofacial.threads
    resources:
        mem_mb=memory(1000, 8, CONFIG.orofacial.threads),
        runtime=1440,
        gpu=gpus(CONFIG.orofacial.device),
    params:
        **stage("orofacial_system", "{system}", folder=True),
    shell:
        COMMAND


rule orofacial_tables:
    input:
        OROFACIAL.of_systems(*SHOWN),
        OROFACIAL.films(),
        of_faces("clips"),
        of_faces("rejects"),
        of_faces("phones.rejects"),
        of_faces("resting_shape"),
    output:
        shown("orofacial_tables", OROFACIAL.tables()),
        page=shown("orofacial_tables", path("orofacial_tables.page")),
    resources:
        mem_mb=memory(1000, 4),
        runtime=60,
    params:
        **stage("orofacial_tables", TO_TABLES),
    shell:
        COMMAND


rule film:
    input:
        path("orofacial_system.predictions", system=CONFIG.orofacial.film_system),
        of_faces("clips"),
        of_faces("resting_shape"),
    output:
        output=directory(path("film")),
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        **stage("film"),
    shell:
        COMMAND

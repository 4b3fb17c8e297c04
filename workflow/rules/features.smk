"""Audio and frames to features."""


rule speed:
    input:
        LAYOUT.shard("{corpus}", "split", "{shard}", "audio"),
    output:
        LAYOUT.shard("{corpus}@{speed}", "split", "{shard}", "audio"),
    log:
        LAYOUT.log("{corpus}@{speed}", "speed", "{shard}"),
    benchmark:
        LAYOUT.benchmark("{corpus}@{speed}", "speed", "{shard}")
    wildcard_constraints:
        corpus=one_of(CONFIG.corpora),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        options=options("speed"),
    message:
        "speed {wildcards.corpus}/{wildcards.shard}: played at {wildcards.speed} times the speed"
    shell:
        "python -m avpretext speed {wildcards.speed} --audio {input:q} --output {output:q} --threads {threads} 2> {log:q}"


rule speech:
    input:
        LAYOUT.shard("{corpus}", "split", "{shard}", "audio"),
    output:
        features=LAYOUT.shard("{corpus}", "speech", "{shard}"),
        rejects=LAYOUT.shard("{corpus}", "speech", "{shard}", "rejects"),
    log:
        LAYOUT.log("{corpus}", "speech", "{shard}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "speech", "{shard}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        options=options("speech"),
    message:
        "speech {wildcards.corpus}/{wildcards.shard}: openSMILE descriptors"
    shell:
        "python -m avpretext speech --audio {input:q} --output {output.features:q} --rejects {output.rejects:q} "
        "--threads {threads} --options {params.options:q} 2> {log:q}"


rule log_mel:
    input:
        LAYOUT.shard("{corpus}", "split", "{shard}", "audio"),
    output:
        LAYOUT.shard("{corpus}", "log_mel", "{shard}"),
    log:
        LAYOUT.log("{corpus}", "log_mel", "{shard}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "log_mel", "{shard}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        options=options("log_mel"),
    message:
        "log_mel {wildcards.corpus}/{wildcards.shard}: log-mel spectrogram"
    shell:
        "python -m avpretext log_mel --audio {input:q} --output {output:q} --threads {threads} "
        "--options {params.options:q} 2> {log:q}"


rule phones:
    input:
        unpack(lambda wildcards: PLAN.phone_inputs(wildcards.corpus, wildcards.shard)),
    output:
        phones=LAYOUT.shard("{corpus}", "phones", "{shard}"),
        rejects=LAYOUT.shard("{corpus}", "phones", "{shard}", "rejects"),
    log:
        LAYOUT.log("{corpus}", "phones", "{shard}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "phones", "{shard}")
    wildcard_constraints:
        corpus=one_of(CONFIG.corpora),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        options=options("phones"),
        imports=PLAN.imported_phones(),
    message:
        "phones {wildcards.corpus}/{wildcards.shard}: when each phone is spoken"
    shell:
        "python -m avpretext phones --corpus {wildcards.corpus} --audio {input.audio:q} --index {input.index:q} "
        "--output {output.phones:q} --rejects {output.rejects:q} --options {params.options:q} 2> {log:q}"


rule landmarks:
    input:
        frames=LAYOUT.shard("{corpus}", "split", "{shard}", "frames"),
        model=LAYOUT.models("face_landmarker.task"),
    output:
        features=LAYOUT.shard("{corpus}", "landmarks", "{shard}"),
        rejects=LAYOUT.shard("{corpus}", "landmarks", "{shard}", "rejects"),
        preview=LAYOUT.shard("{corpus}", "landmarks", "{shard}", "preview"),
        thumbnails=LAYOUT.shard("{corpus}", "landmarks", "{shard}", "thumbnails"),
    log:
        LAYOUT.log("{corpus}", "landmarks", "{shard}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "landmarks", "{shard}")
    wildcard_constraints:
        corpus=one_of(WITH_VIDEO if PLAN.stores_frames else []),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
        runtime=240,
    params:
        options=options("landmarks"),
    message:
        "landmarks {wildcards.corpus}/{wildcards.shard}: MediaPipe landmarks and blendshapes"
    shell:
        "python -m avpretext landmarks --frames {input.frames:q} --model {input.model:q} --output {output.features:q} "
        "--rejects {output.rejects:q} --preview {output.preview:q} "
        "--thumbnails {output.thumbnails:q} --threads {threads} "
        "--options {params.options:q} 2> {log:q}"


rule motion:
    input:
        LAYOUT.shard("{corpus}", "landmarks", "{shard}"),
    output:
        LAYOUT.shard("{corpus}", "motion", "{shard}"),
    log:
        LAYOUT.log("{corpus}", "motion", "{shard}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "motion", "{shard}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        options=options("motion"),
    message:
        "motion {wildcards.corpus}/{wildcards.shard}: landmark speed, head motion removed"
    shell:
        "python -m avpretext motion --landmarks {input:q} --output {output:q} --options {params.options:q} 2> {log:q}"


rule neutral:
    input:
        landmarks=every_shard("landmarks"),
        index=every_shard(PLAN.clips),
    output:
        LAYOUT.corpus("{corpus}", "neutral"),
    log:
        LAYOUT.log("{corpus}", "neutral"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "neutral")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(500, 0.1),
        runtime=60,
    params:
        options=options("neutral"),
        landmarks=shard_set("landmarks"),
        index=shard_set(PLAN.clips),
    message:
        "neutral {wildcards.corpus}: each speaker's resting face"
    shell:
        "python -m avpretext neutral --landmarks {params.landmarks:q} --index {params.index:q} --output {output:q} "
        "--options {params.options:q} 2> {log:q}"


rule action_units:
    input:
        unpack(
            lambda wildcards: PLAN.action_unit_inputs(
                wildcards.corpus, wildcards.shard
            )
        ),
    output:
        LAYOUT.shard("{corpus}", "action_units", "{shard}"),
    log:
        LAYOUT.log("{corpus}", "action_units", "{shard}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "action_units", "{shard}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=lambda wildcards: 4000 if PYFEAT else 1000,
        runtime=lambda wildcards: 1440 if PYFEAT else 240 if IMPORTED else 30,
        gpu=gpus(CONFIG.action_units.pyfeat.device) if PYFEAT else 0,
    params:
        options=options("action_units"),
        imports=PLAN.imports(),
        inputs=lambda wildcards, input: [
            flag(name, path) for name, path in input.items()
        ],
        folder=lambda wildcards: (
            flag("folder", CONFIG.corpora[wildcards.corpus].path) if IMPORTED else ""
        ),
    message:
        "action_units {wildcards.corpus}/{wildcards.shard}: intensities of 20 action units"
    shell:
        '"$ACTION_UNITS_PYTHON" -m avpretext action_units {params.inputs} {params.folder} --output {output:q} '
        "--threads {threads} --options {params.options:q} 2> {log:q}"


rule functionals:
    input:
        LAYOUT.shard("{corpus}", "split", "{shard}", "audio"),
    output:
        LAYOUT.shard("{corpus}", "functionals", "{shard}"),
    log:
        LAYOUT.log("{corpus}", "functionals", "{shard}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "functionals", "{shard}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
        runtime=120,
    params:
        options=options("functionals"),
    message:
        "functionals {wildcards.corpus}/{wildcards.shard}: openSMILE functionals for the baseline"
    shell:
        "python -m avpretext functionals --audio {input:q} --output {output:q} --threads {threads} "
        "--options {params.options:q} 2> {log:q}"


rule statistics:
    input:
        lambda wildcards: [
            LAYOUT.shard(wildcards.corpus, name, wildcards.shard)
            for name in CONFIG.statistics.features
        ],
    output:
        LAYOUT.shard("{corpus}", "statistics", "{shard}"),
    log:
        LAYOUT.log("{corpus}", "statistics", "{shard}"),
    benchmark:
        LAYOUT.benchmark("{corpus}", "statistics", "{shard}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        options=options("statistics"),
        features=lambda wildcards, input: [
            flag("features", f"{name}={path}")
            for name, path in zip(CONFIG.statistics.features, input)
        ],
    message:
        "statistics {wildcards.corpus}/{wildcards.shard}: mean, spread and change of frame features for the baseline"
    shell:
        "python -m avpretext statistics {params.features} --output {output:q} --options {params.options:q} 2> {log:q}"

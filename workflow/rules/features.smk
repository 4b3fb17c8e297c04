"""Audio and frames to features."""


rule speed:
    input:
        audio=path("split.audio"),
    output:
        output=path("speed"),
    wildcard_constraints:
        corpus=one_of(CONFIG.with_clips()),
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        **stage("speed", "{speed}"),
    shell:
        COMMAND


rule degrade:
    input:
        audio=path("split.audio"),
    output:
        output=path("degrade"),
    wildcard_constraints:
        corpus=one_of(CONFIG.with_clips()),
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        **stage("degrade", "{condition}"),
    shell:
        COMMAND


rule speech:
    input:
        audio=path("split.audio"),
    output:
        output=path("speech"),
        rejects=path("speech.rejects"),
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        **stage("speech"),
    shell:
        COMMAND


rule log_mel:
    input:
        audio=path("split.audio"),
    output:
        output=path("log_mel"),
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        **stage("log_mel"),
    shell:
        COMMAND


rule encoder:
    input:
        audio=path("split.audio"),
    output:
        output=path("encoder"),
    threads: lambda wildcards: CONFIG.encoders[wildcards.encoder].threads
    resources:
        mem_mb=encoder_memory,
        runtime=1440,
        gpu=lambda wildcards: gpus(CONFIG.encoders[wildcards.encoder].device),
    params:
        **stage("encoder", "{encoder}"),
    shell:
        COMMAND


rule phones:
    input:
        own_of(PLAN.phone_tables),
        audio=path("split.audio"),
        index=clips_shard,
    output:
        output=path("phones"),
        rejects=path("phones.rejects"),
    wildcard_constraints:
        corpus=one_of(CONFIG.with_clips()),
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        **stage("phones", "--corpus {corpus}"),
    shell:
        COMMAND


rule landmarks:
    input:
        frames=path("split.frames"),
        model=path("models"),
    output:
        landmarks=path("landmarks"),
        faceless=path("landmarks.rejects"),
        preview=path("landmarks.preview"),
        thumbnails=path("landmarks.thumbnails"),
    wildcard_constraints:
        corpus=one_of(WITH_VIDEO if PLAN.stores_frames else []),
    resources:
        mem_mb=1500,
        runtime=240,
    params:
        **stage("landmarks"),
    shell:
        COMMAND


rule motion:
    input:
        landmarks=path("landmarks"),
    output:
        output=path("motion"),
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        **stage("motion"),
    shell:
        COMMAND


rule neutral:
    input:
        own(CONFIG.action_units.neutral_clips),
        landmarks=every("landmarks"),
        index=every_clips_shard,
    output:
        output=path("neutral"),
    resources:
        mem_mb=memory(500, 0.1),
        runtime=minutes(60, 0.002),
    params:
        **stage("neutral"),
    shell:
        COMMAND


rule action_units:
    input:
        unpack(
            lambda wildcards: PLAN.action_unit_inputs(
                wildcards.corpus, wildcards.shard
            )
        ),
    output:
        output=path("action_units"),
    resources:
        mem_mb=4000 if PYFEAT else 1000,
        runtime=1440 if PYFEAT else 240 if IMPORTED else 30,
        gpu=gpus(CONFIG.action_units.pyfeat.device if PYFEAT else "cpu"),
    params:
        **stage(
            "action_units",
            lambda wildcards: (
                f"--folder {shlex.quote(CONFIG.corpora[wildcards.corpus].path)}"
                if IMPORTED
                else ""
            ),
        ),
    shell:
        # py-feat has an environment of its own.
        f'"$ACTION_UNITS_PYTHON" {COMMAND.removeprefix("python ")}'


rule functionals:
    input:
        audio=path("split.audio"),
    output:
        output=path("functionals"),
    resources:
        mem_mb=1500,
        runtime=120,
    params:
        **stage("functionals"),
    shell:
        COMMAND


rule statistics:
    input:
        features=keyed(
            lambda wildcards: {
                name: [path(name, **dict(wildcards.items()))]
                for name in CONFIG.statistics.features
            }
        ),
    output:
        output=path("statistics"),
    resources:
        mem_mb=1500,
        runtime=60,
    params:
        **stage("statistics"),
    shell:
        COMMAND

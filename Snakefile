"""From talking-face video to a table of what self-supervision is worth for speech emotion recognition."""

from snakemake.utils import min_version

min_version("9.20")

# A file given with --configfile stands alone: Snakemake would merge it into this one, demo corpora and all.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/corpus.smk"
include: "workflow/rules/media.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/labels.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/orofacial.smk"
include: "workflow/rules/everywhere.smk"


rule all:
    default_target: True
    input:
        path("manifest"),
        path("tables", table="main.csv"),
        path("report"),
        PLAN.files,
    localrule: True


rule ablation:
    input:
        PLAN.named_tables(ABLATION_TABLES),
        path("ablate.page"),
    localrule: True


rule orofacial:
    input:
        OROFACIAL.tables(),
        path("orofacial_tables.page"),
        OROFACIAL.of_systems("model"),
        OROFACIAL.films(),
    localrule: True


rule features:
    input:
        [PLAN.shards(corpus, "speech") for corpus in WITH_AUDIO],
        [PLAN.shards(corpus, "action_units") for corpus in WITH_VIDEO],
    localrule: True


rule visemes:
    input:
        lambda wildcards: asked(PLAN.phones),
        path("phone_scores") if CONFIG.with_truth() else [],
    localrule: True


rule pseudo_labels:
    input:
        [
            PLAN.shards(corpus, labels)
            for corpus in CONFIG.corpora
            for labels in PLAN.label_stages(corpus)
        ],
    localrule: True

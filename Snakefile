"""The workflow, and what `snakemake` makes in this folder when nothing is named: all of it."""


include: "workflow/Snakefile"


rule default:
    default_target: True
    input:
        rules.all.input,
    localrule: True

# The workflow of avpretext, used in place: its rules and its package stay where they were installed.
include: {snakefile}


rule project: # what `snakemake` makes when nothing is named: all of it
    default_target: True
    input:
        rules.all.input,
    localrule: True

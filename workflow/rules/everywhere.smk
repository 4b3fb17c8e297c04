"""What every rule of a stage has, said once: its log, benchmark and environment, and what it prints of itself."""


def complete(of):
    """Name log and benchmark of a rule (`of`) like what it makes, and give it the environment of the package."""
    name = of.params.stage
    made = snakemake.io.strip_wildcard_constraints(str(of.output[0]))
    of.log_modifier = of.benchmark_modifier = of.ruleinfo.output.modifier
    of.set_log(FILES.beside("logs", ".log", name, made))
    of.benchmark = FILES.beside("benchmarks", ".tsv", name, made)
    of.conda_env = ENVIRONMENT
    wildcards = "/".join(
        f"{{wildcards.{part}}}" for part in re.findall(r"{(\w+)", made)
    )
    of.message = f"{name} {wildcards}: {STAGES[name].summary}"


for each in workflow.rules:
    if each.shellcmd is not None:
        complete(each)

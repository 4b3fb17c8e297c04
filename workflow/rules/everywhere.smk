"""What every rule of a stage has, said once: its log, benchmark and environment, and what it prints of itself."""

for each in workflow.rules:
    # A project may have rules of its own before it includes these, and other copies of these as modules.
    if each in workflow.modifier.rules and each.params.get("stage") in STAGES:
        complete(each)

START.names.update(
    {
        proxy.rule.name: name
        for name, proxy in workflow.modifier.rule_proxies._rules.items()
    }
)

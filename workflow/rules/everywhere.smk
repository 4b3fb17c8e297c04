"""What every rule of a stage has, said once: its log, benchmark and environment, and what it prints of itself."""

for each in workflow.rules:
    if each.shellcmd is not None:
        complete(each)

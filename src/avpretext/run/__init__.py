"""One run of the workflow: its plan, what each artefact is made from, who holds the results."""

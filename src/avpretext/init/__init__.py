"""A project folder of the user's own: what is in their corpus, a configuration for it, and what runs the workflow."""

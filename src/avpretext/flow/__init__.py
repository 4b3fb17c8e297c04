"""The registry: what the flow makes, where it lies, and the pretext tasks."""

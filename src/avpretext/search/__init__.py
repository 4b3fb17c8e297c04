"""Hyper-parameters chosen on dev speakers: trials of the workflow on changed configurations."""

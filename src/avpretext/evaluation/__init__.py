"""Metrics, statistics, tables."""

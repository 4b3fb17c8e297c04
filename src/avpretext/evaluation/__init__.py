"""Protocols, metrics, statistics, tables."""

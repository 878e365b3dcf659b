"""Metrics of scores against labels, and comparisons of systems."""

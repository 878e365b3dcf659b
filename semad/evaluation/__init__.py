"""Metrics, protocols, baselines, figures, report."""

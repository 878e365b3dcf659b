"""Choices without labels, by synthetic anomalies."""

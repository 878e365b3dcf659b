"""Synthetic fibres and synthetic anomalies."""

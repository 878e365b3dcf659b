"""Batched scoring, latent search, thresholds."""

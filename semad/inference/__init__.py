"""Trained systems at work: the detector, restored models, inspection, export."""

"""Flax modules of the thesis tables, and their layers."""

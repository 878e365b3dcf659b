"""Configs: the schema, reading and writing, overrides."""

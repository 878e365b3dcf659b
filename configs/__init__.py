"""One file per system; each has `get_config(preset)`."""

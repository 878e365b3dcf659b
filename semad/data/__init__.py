"""Images and patches: sources, arrays, patch sampling, normalisation."""

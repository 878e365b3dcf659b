"""New micrographs without labels: scores, maps, masks, outlined and measured defects."""

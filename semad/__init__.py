"""semad finds defects in scanning-electron-microscope images by adversarial networks."""

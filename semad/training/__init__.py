"""State, step, loop, checkpoints, logs."""

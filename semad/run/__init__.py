"""A run made concrete: method, data, population, state, checkpoints, workdir."""

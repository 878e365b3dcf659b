"""Many runs: a grid of values, equal budgets, runs that are missing."""

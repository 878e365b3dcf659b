"""Scripts over the library: benchmarks, evaluations from checkpoints, comparisons."""

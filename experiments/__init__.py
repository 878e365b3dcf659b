"""Scripts over the library: benchmarks, evaluations from checkpoints, comparisons."""

import sys
from pathlib import Path

# A script is run by its path, so that it finds its neighbours by their bare names. Whoever imports
# it as `experiments.<name>`, as the tests do, finds them here.
sys.path.append(str(Path(__file__).resolve().parent))

"""The score above which a patch counts as anomalous."""

import numpy as np


def threshold(rule: str, rate: float, holdout: np.ndarray, test: np.ndarray) -> float:
    """A threshold by rule.

    Args:
      rule: `normal_quantile`: exceeded by the share `rate` of held-out *normal* scores;
        `transductive`: by that share of the *test* scores (thesis, section 5.1.1).
      rate: in [0, 1].
      holdout: scores of held-out normal patches, (M,).
      test: scores of the test items, (N,).
    """
    scores = holdout if rule == "normal_quantile" else test
    return float(np.quantile(scores, 1 - rate))

"""What a reader of a result should be careful about, in plain sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from semad.training.health import ailments

MARGIN = 0.02
"""By how much AUROC a baseline must be beaten before a report calls it a detection."""


LEAST_SPREAD = 0.1
"""Of reconstructions, below which they are called constant."""


def training_cautions(
    log: Sequence[Mapping[str, Any]], result: Mapping[str, Any] | None
) -> list[str]:
    """What went wrong in training, and what befell the run.

    Args:
      log: lines of the log; without any, what the result says of them counts.
      result: what metrics.json holds, if there was an evaluation: it measures itself whether
        reconstructions are constant.
    """
    result = result or {}
    sick = ailments(log)
    measured = result.get("reconstruction_spread") is not None
    health = [part.sentence for part in sick if not (measured and part.kind == "constant")]
    sentences = health if log else [str(text) for text in result.get("health", [])]
    return sentences + [_restart(line) for line in result.get("history", [])]


def _restart(line: Mapping[str, Any]) -> str:
    """A line of the run's history in words; see `semad.run.history`."""
    changes = ", ".join(
        f"config.{key} was {before} and is now {now}"
        for key, (before, now) in line["changes"].items()
    )
    at = "" if line["diverged_at"] is None else f" at step {line['diverged_at']}"
    return (
        f"Training diverged{at} and went on from step {line['step']} ({line['date']}) with other "
        f"values: {changes}."
    )


def cautions(result: dict[str, Any]) -> list[str]:
    """Of an evaluation; `result` is what metrics.json holds."""
    sentences = [str(text) for text in result.get("cautions", [])]
    if names := unbeaten(result):
        verb = "learns" if len(names) == 1 else "learn"
        sentences.append(
            f"Not clearly better (by {MARGIN} AUROC) than {' and '.join(names)}, which {verb} "
            "nothing: this result is no detection.".replace("_", " ")
        )
    spreads = result.get("reconstruction_spread") or []
    if spreads and min(spreads) < LEAST_SPREAD:
        sentences.append(
            f"Reconstructions hardly depend on what they rebuild (spread {min(spreads):.2g}, where "
            "that of the patches is 1): residual scores are those of a constant image."
        )
    if result["config"]["score"]["threshold_rule"] == "transductive":
        sentences.append("The threshold was taken from the test scores themselves.")
    if result["n_test"] < result["n_available"]:
        sentences.append(
            f"Only {result['n_test']:,} of {result['n_available']:,} were scored, a seeded subset."
        )
    if "members" not in result:
        sentences.append("One seed only: another seed may give other figures.")
    return sentences + calibration_cautions(result.get("calibration"))


def calibration_cautions(calibration: dict[str, Any] | None) -> list[str]:
    """Of thresholds; `calibration` as `semad.scoring.thresholds.calibrate` has it."""
    if not calibration:
        return []
    sentences = []
    rate, lowest = calibration["rate"], calibration.get("lowest_rate", 0)
    part = calibration.get("part", 1)
    what = "held-out normal images" if part == 1 else "held-out parts of normal images"
    if rate < lowest:
        sentences.append(
            f"With {calibration['images']} {what}, no rate of false alarms among images below "
            f"{100 * lowest:.0f} % can be promised, though {100 * rate:g} % was asked for; more "
            "normal images (whole ones are held out from ten on) would mend that."
        )
    elif part < 1:
        sentences.append(
            f"The images' threshold comes from {what}, as if a whole image were "
            f"{1 / part:.1f} such parts that have nothing to do with each other."
        )
    for name in ("pixel", "tile", "image"):
        test = calibration.get(f"{name}_test")
        asked = calibration.get("pixel_rate", rate) if name == "pixel" else rate
        if test and test["interval"] and not test["interval"][0] <= asked <= test["interval"][1]:
            low, high = (100 * end for end in test["interval"])
            sentences.append(
                f"On test images without a defect {100 * test['achieved']:.3g} % of the {name}s "
                f"are above the threshold (95 % interval {low:.3g} to {high:.3g} %), where "
                f"{100 * asked:g} % was asked for."
            )
    return sentences


def unbeaten(result: dict[str, Any]) -> list[str]:
    """Baselines that the method does not beat clearly."""
    auroc = result["auroc"]
    if auroc is None:
        return []
    return [name for name, value in result["baselines"].items() if value["auroc"] + MARGIN > auroc]

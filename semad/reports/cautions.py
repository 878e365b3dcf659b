"""What a reader of a result should be careful about, in plain sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from semad.scoring.overfitting import SIGNIFICANT
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
    sentences = selection_cautions(result.get("selection")) + sentences
    return sentences + calibration_cautions(result.get("calibration"))


def selection_cautions(selection: dict[str, Any] | None) -> list[str]:
    """Why the figure of a label-free choice says little; see `semad.selection.doubts`."""
    return selection.get("doubts", []) if selection else []


def calibration_cautions(calibration: dict[str, Any] | None) -> list[str]:
    """Of thresholds; `calibration` as `semad.scoring.calibration.calibrate` has it."""
    if not calibration:
        return []
    rate = calibration["rate"]
    sentences = _of_few_images(calibration) + _of_tail(calibration)
    seen = calibration.get("seen")
    if seen and seen["p"] < SIGNIFICANT:
        how = "Thresholds come from what was held out alone"  # by an older semad
        if "shift" in seen:
            how = f"For the threshold of images the latter is raised by {seen['shift']:.3g}"
            how += f" and stretched by {seen['ratio']:.3g}" if seen["ratio"] > 1 else ""
            how += ", which is a model"
        sentences.append(
            "What training did not see of normal images scores higher than what it saw (a "
            f"held-out part is above another in {100 * seen['auroc']:.0f} % of pairs, p = "
            f"{seen['p']:.3f}). {how}."
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


def source_of_thresholds(calibration: dict[str, Any]) -> str:
    """The images that thresholds come from, as a phrase."""
    count, seen = calibration["images"], calibration.get("seen")
    if seen and seen.get("used", True):  # older semads kept whether such images were used
        changed = seen.get("shift", 0) > 0 or seen.get("ratio", 1) > 1
        raised = ", their scores raised to the level of the others" if changed else ""
        return f"{count} normal images (held-out ones, and ones trained on{raised})"
    parts = "normal images" if calibration.get("part", 1) == 1 else "parts of normal images"
    return f"{count} held-out {parts}"


def _of_few_images(calibration: dict[str, Any]) -> list[str]:
    rate, lowest = calibration["rate"], calibration.get("lowest_rate", 0)
    what, part = source_of_thresholds(calibration), calibration.get("part", 1)
    if rate < lowest:
        how = "the threshold is the highest score of them"
        if calibration.get("rule") == "extrapolated":
            how = f"the threshold for it is extrapolated{_models(calibration)}"
        return [
            f"With {what}, no rate of false alarms among images below {100 * lowest:.0f} % can be "
            f"promised, though {100 * rate:g} % was asked for; {how}. More normal images would "
            "mend that."
        ]
    if part < 1:
        return [
            f"The images' threshold comes from {what}, as if a whole image were "
            f"{1 / part:.1f} such parts that have nothing to do with each other."
        ]
    return []


def _models(calibration: dict[str, Any]) -> str:
    """What an extrapolation rests on; older calibrations do not say."""
    sentences = {
        "blocks": "by the tail of the scores of blocks of pixels",
        "normal": "as if scores of images were normally distributed, which few images cannot show",
    }
    models = calibration.get("models") or {}
    parts = [f"{pooling}: {sentences[model]}" for pooling, model in models.items()]
    return f" ({'; '.join(parts)})" if parts else ""


def _of_tail(calibration: dict[str, Any]) -> list[str]:
    """Where the extrapolation does not hold at a rate at which it can be checked."""
    tail = calibration.get("tail")
    if not tail or tail["interval"][0] <= tail["asked"] <= tail["interval"][1]:
        return []
    low, high = (100 * end for end in tail["interval"])
    return [
        f"The extrapolated threshold rests on a model that does not hold: {100 * tail['asked']:g} "
        f"% of the blocks of an image should be above its level, and {100 * tail['achieved']:.3g} "
        f"% are (95 % interval {low:.3g} to {high:.3g} %)."
    ]


def unbeaten(result: dict[str, Any]) -> list[str]:
    """Baselines, of either sign, that the method does not beat clearly."""
    auroc = result["auroc"]
    if auroc is None:
        return []
    names = []
    for name, value in result["baselines"].items():
        signs = {name: value, f"inverted {name}": value.get("inverted")}  # older ones have none
        names += [sign for sign, one in signs.items() if one and one["auroc"] + MARGIN > auroc]
    return names

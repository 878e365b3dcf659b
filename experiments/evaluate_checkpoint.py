"""Restores a checkpoint in a script, evaluates it, and prints what a table would need.

python experiments/evaluate_checkpoint.py --workdir runs/bigan --output runs/bigan_again
"""

import argparse
from pathlib import Path

from semad import config, experiment
from semad.evaluation.evaluate import evaluate
from semad.launch import one_line_errors
from semad.reports.render import format_figure


def main() -> None:
    """Evaluates `--workdir` as its own config says, and writes to `--output`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=Path, required=True, help="holds the checkpoint")
    parser.add_argument("--output", type=Path, required=True, help="takes evaluation and report")
    arguments = parser.parse_args()

    with one_line_errors():
        run = experiment.prepare(config.load(arguments.workdir))
        state = experiment.restore(arguments.workdir, run.config, run.method)
        result = evaluate(run, state, arguments.workdir, arguments.output)
    for name, values in result["baselines"].items():
        print(f"{name:20} {format_figure(values['auroc'])}")
    for member in result.get("members", [result]):
        for name, values in member["scores"].items():
            print(f"{name:20} {format_figure(values['auroc'])}  (seed {member['seed']})")


if __name__ == "__main__":
    main()

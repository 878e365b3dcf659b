"""Restores a checkpoint in a script, evaluates it, and prints what a table would need.

python experiments/evaluate_checkpoint.py --workdir runs/bigan --output runs/bigan_again
"""

import argparse
from pathlib import Path

from paths import LEDGER

from semad import pipeline
from semad.commandline import one_line_errors
from semad.config import files
from semad.reports.render import format_figure
from semad.run.workdir import restore


def main() -> None:
    """Evaluates `--workdir` as its own config says, and writes to `--output`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=Path, required=True, help="holds the checkpoint")
    parser.add_argument("--output", type=Path, required=True, help="takes evaluation and report")
    arguments = parser.parse_args()

    with one_line_errors():
        run = pipeline.prepare_in(arguments.workdir, files.load(arguments.workdir))
        state = restore(arguments.workdir, run.system)
        result = pipeline.evaluate(run, state, arguments.workdir, arguments.output, LEDGER)
    for name, values in result["baselines"].items():
        print(f"{name:20} {format_figure(values['auroc'])}")
    for member in result.get("members", [result]):
        for name, values in member["scores"].items():
            print(f"{name:20} {format_figure(values['auroc'])}  (seed {member['seed']})")


if __name__ == "__main__":
    main()

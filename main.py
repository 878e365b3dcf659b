"""Launcher: trains, evaluates and uses one run in a workdir; `--help` lists the flags.

python main.py --config configs/bigan.py:small --workdir runs/bigan
python main.py --workdir runs/bigan --mode evaluate
python main.py --workdir runs/bigan --mode score --images my_sem_folder --output out
"""

from pathlib import Path

from semad import cli

if __name__ == "__main__":
    # In a clone every look at NanoTWICE's labels is noted.
    cli.main(ledger=Path(__file__).parent / "experiments" / "results" / "ledger.jsonl")

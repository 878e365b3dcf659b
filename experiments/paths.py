"""Where the scripts keep what they record."""

from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"
LEDGER = RESULTS / "ledger.jsonl"
"""Takes a line about every evaluation of NanoTWICE; see `semad.evaluation.ledger`."""

DOCS = RESULTS.parents[1] / "docs"
"""The pages that tables and figures are written into."""

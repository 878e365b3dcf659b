"""`python -m semad`: the same as the console script `semad`."""

from semad.cli import main

main()

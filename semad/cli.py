"""The command line: what `main.py` and the console script `semad` start.

Nothing heavy is imported before a signal can be answered and the flags are read: JAX alone takes
seconds.
"""

import sys
from pathlib import Path

from semad.utils.ending import ends_in_one_line


def main(ledger: Path | None = None) -> None:
    """Runs the mode that `sys.argv` asks for, and ends the process with its exit code.

    Args:
      ledger: takes a line about every evaluation of NanoTWICE.
    """
    with ends_in_one_line():
        from semad import commandline

        commandline.setup_logging()
        with commandline.foreign_errors():
            command = commandline.read(sys.argv)
            if command is not None:
                from semad import modes
                from semad.utils.programs import keep_programs

                keep_programs()
                modes.run(*command, ledger)

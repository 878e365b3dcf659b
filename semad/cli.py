"""The command line: what `main.py` and the console script `semad` start.

Nothing heavy is imported before a signal can be answered and the flags are read: JAX alone takes
seconds.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from semad.utils.ending import ends_in_one_line

if TYPE_CHECKING:
    from semad.commandline import Command


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
            _run(command, ledger)


def _run(command: "Command", ledger: Path | None) -> None:
    from semad import commandline
    from semad.utils import joining
    from semad.utils.programs import keep_programs

    keep_programs()
    if command.processes:
        joining.join(*command.processes)
    from semad import modes

    with joining.together(), commandline.foreign_errors():
        modes.run(*command.work, ledger)

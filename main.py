"""Launcher: trains, evaluates and uses one run in a workdir; `--helpshort` lists the flags.

python main.py --config configs/bigan.py:small --workdir runs/bigan
python main.py --workdir runs/bigan --mode evaluate
python main.py --workdir runs/bigan --mode score --images my_sem_folder --output out
"""

import sys
from pathlib import Path

from absl import app, flags

from semad import launch
from semad.errors import UserError

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "Folder of the run: config, checkpoints, log, results.")
flags.DEFINE_string("images", None, "What --mode score inspects: an image or a folder of them.")
flags.DEFINE_string("output", None, "Takes the results of --mode score or --mode export.")
flags.DEFINE_enum("mode", launch.MODES[0], launch.MODES, "What to do.")


def main(argv: list[str]) -> None:
    """Dispatches to the library."""
    with launch.one_line_errors():
        if len(argv) > 1:
            raise UserError(f"unexpected argument {argv[1]!r}; flags start with --")
        if not FLAGS.workdir:
            raise UserError("--workdir is missing; give a folder for the run, like runs/bigan")
        if FLAGS.config is None:
            raise UserError("--config is missing; give a file, like configs/bigan.py:small")
        images, output = (path and Path(path) for path in (FLAGS.images, FLAGS.output))
        launch.run(FLAGS.mode, Path(FLAGS.workdir), FLAGS.config, images, output)


if __name__ == "__main__":
    launch.setup_logging()
    with launch.one_line_errors():
        launch.define_config_flag(sys.argv)
        app.run(main, flags_parser=launch.parse_flags)

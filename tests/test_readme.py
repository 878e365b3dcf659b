"""What the README tells people to type is what works."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from semad.methods import METHODS
from tests.test_configs import FILES

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
COMMANDS = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines()]


@pytest.mark.parametrize("command", [line for line in COMMANDS if "--config " in line])
def test_configs_of_commands_exist(command):
    words = shlex.split(command)
    name = words[words.index("--config") + 1].partition(":")[0]
    assert Path(name).stem in FILES
    assert (ROOT / name).is_file()


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target


def test_every_config_is_a_method_s_or_mentioned():
    assert all(name in METHODS or name in TEXT for name in FILES)


def test_the_results_are_those_of_the_committed_files():
    script = [sys.executable, "experiments/results.py", "table", "--check"]
    assert subprocess.run(script, cwd=ROOT, check=False).returncode == 0

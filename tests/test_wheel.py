"""What is built is the product: the sdist, the wheel made of it, and its command line."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py")
FOLDERS = ("configs", "docs", "semad")
NO_CODE = ("py.typed", "data/sources/nanotwice.sha256", "inference/napari.yaml")


def python(code, cwd, **environment):
    """What a process prints that has the packages of this environment."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, env=os.environ | environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def built(what, folder):
    """What setuptools makes of a folder, without a network and an environment of its own."""
    code = f"from setuptools import build_meta; print(build_meta.build_{what}('dist'))"
    return folder / "dist" / python(code, folder)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Made of the sdist; and both from a copy, since a build leaves files behind."""
    clone = tmp_path_factory.mktemp("clone")
    for name in SOURCES:
        shutil.copy(ROOT / name, clone)
    for name in FOLDERS:
        shutil.copytree(
            ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__", "*.png")
        )
    unpacked = tmp_path_factory.mktemp("sdist")
    with tarfile.open(built("sdist", clone)) as sdist:
        sdist.extractall(unpacked, filter="data")
    (source,) = unpacked.iterdir()
    return built("wheel", source)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The environment of a process that has the wheel's semad, and not the clone's."""
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as files:
        files.extractall(site)
    return {"PYTHONPATH": str(site)}


def test_the_wheel_holds_all_files_of_the_package(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    code = {f"semad/{path.relative_to(ROOT / 'semad')}" for path in (ROOT / "semad").rglob("*.py")}
    configs = {f"semad/configs/{path.name}" for path in (ROOT / "configs").glob("*.py")}
    wanted = code | configs | {f"semad/{name}" for name in NO_CODE}
    templates = (ROOT / "semad/reports/templates").iterdir()
    wanted |= {f"semad/reports/templates/{path.name}" for path in templates}
    about = {name for name in names if ".dist-info/" in name}
    assert names - about == wanted


def test_what_the_wheel_says_of_itself(wheel):
    with zipfile.ZipFile(wheel) as files:
        (folder,) = {name.split("/")[0] for name in files.namelist() if ".dist-info/" in name}
        about = HeaderParser().parsestr(files.read(f"{folder}/METADATA").decode())
        licence = files.read(f"{folder}/licenses/LICENSE")
        scripts = files.read(f"{folder}/entry_points.txt").decode()
    assert licence == (ROOT / "LICENSE").read_bytes()
    assert "semad = semad.cli:main" in scripts
    assert about["License-Expression"] == "Apache-2.0"
    assert about["Requires-Python"] == ">=3.11"
    assert set(about.get_all("Provides-Extra")) >= {
        "bench", "cuda", "docs", "onnx", "prepare", "slurm", "test"
    }  # fmt: skip
    needed = about.get_all("Requires-Dist")
    assert any(line.startswith("tensorflow-datasets") and "extra" not in line for line in needed)
    assert about.get_payload().startswith("# semad\n")
    classifiers = about.get_all("Classifier")
    for version in ("3.11", "3.12", "3.13"):
        assert f"Programming Language :: Python :: {version}" in classifiers


def test_the_installed_wheel_has_configs_and_templates(installed, tmp_path):
    code = (
        "import semad, semad.configs.bigan, jinja2; from semad.data.sources import nanotwice;"
        "assert jinja2.PackageLoader('semad.reports', 'templates').list_templates();"
        "print(semad.__file__, semad.configs.bigan.__file__)"
    )
    places = python(code, tmp_path, **installed).split()
    assert all(Path(place).is_relative_to(installed["PYTHONPATH"]) for place in places)


def test_the_installed_command_line_knows_the_configs_by_name(installed, tmp_path):
    command = [sys.executable, "-m", "semad", "--config=recommended:smoke", "--workdir=run"]
    wrong = [*command, "--config.train.batch_size=1"]
    environment = os.environ | installed
    done = subprocess.run(
        wrong, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("semad: config.train.batch_size is 1;")
    assert not any(tmp_path.iterdir())

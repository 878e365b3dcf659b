"""The command line as a user types it, in processes of its own."""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import jax
import pytest

import semad
from semad.cli import main as console_script
from semad.config.flags import with_config_file
from semad.config.overrides import config_names, named
from semad.config.settings import resolve
from semad.data import sources
from semad.data.sources.nanofibres_folder import write
from semad.utils.paths import expanded
from tests.complaints import one_line
from tests.faults.harness import server

ROOT = Path(__file__).resolve().parent.parent
TINY = (
    "--config.model.width=0.03125",
    "--config.train.epochs=1",
    "--config.data.crops_per_image=64",
    "--config.eval.max_items=64",
)


@pytest.fixture(scope="module")
def main():
    """Command lines, in forks of a process that has done the imports, which take seconds.

    Tests of what comes before the imports, or must be set by then, start `main.py` itself.
    """
    with server(Path(os.environ["JAX_COMPILATION_CACHE_DIR"])) as warm:

        def run(*arguments, **environment):
            argv = [str(argument) for argument in arguments]
            done = warm.run(argv, environment=environment)
            return subprocess.CompletedProcess(argv, done.code, stderr=done.output)

        yield run


def started(*arguments, **environment):
    return call("main.py", *arguments, cwd=ROOT, **environment)


def call(*arguments, cwd, **environment):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


def installed(*arguments, cwd):
    """The console script, wherever pip has put it."""
    return call("-c", "from semad.cli import main; main()", *arguments, cwd=cwd)


def complaint(done, code=2):
    """The one line that an error ends in."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    # Progress bars aside, every line is one of ours.
    bars = ("training: ", "compiling: ", "scoring", "mapping ", "one image")
    bars += ("planting", "ranking", "bootstrap", "choosing")
    lines = [line.strip() for line in done.stderr.replace("\x1b[A", "").splitlines()]
    lines = [line for line in lines if line and not line.startswith(bars)]
    assert all(line.startswith("semad: ") for line in lines), done.stderr
    return lines[-1]


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A run of the README's form, trained and evaluated."""
    folder = tmp_path_factory.mktemp("launch") / "run"
    done = started("--config", "configs/autoencoder.py:smoke", "--workdir", folder, *TINY)
    assert done.returncode == 0, done.stderr
    assert "AUROC" in done.stderr
    assert str(folder / "report.html") in done.stderr
    return folder


def test_the_files_of_a_run(workdir):
    names = {path.name for path in workdir.iterdir()}
    assert names == {
        "config.json", "versions.json", "checkpoints", "best", "log.jsonl", "tensorboard",
        "evaluation", "report.html", "samples", "samples.gif", "normal.npz", "sha256.json",
    }  # fmt: skip
    line = json.loads((workdir / "log.jsonl").read_text().splitlines()[-1])
    assert {"phase", "step", "epoch", "autoencoder/loss", "images_per_second"} <= line.keys()
    assert list((workdir / "tensorboard").iterdir())


def test_evaluate_from_the_workdir_alone(main, workdir):
    first = json.loads((workdir / "evaluation/thesis_tiles/metrics.json").read_text())
    done = main("--workdir", workdir, "--mode", "evaluate", "--config.score.name=l1")
    assert done.returncode == 0, done.stderr
    second = json.loads((workdir / "evaluation/thesis_tiles/metrics.json").read_text())
    assert second["score"] == "l1"
    assert second["scores"] == first["scores"]
    assert (workdir / "evaluation/thesis_tiles.1/metrics.json").is_file()


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--config.score.strid=3", 'unknown config key strid; Did you mean "stride"'),
        ("--config.score.stride=abc", "--config.score.stride=abc: invalid literal for int()"),
        ("--config.score.stride=-3", "config.score.stride is -3; it must be between 1 and 65536"),
    ],
)
def test_a_bad_value_for_the_config_of_a_workdir(main, workdir, flag, says):
    assert says in complaint(main("--workdir", workdir, "--mode", "evaluate", flag))


def test_new_images_from_the_workdir_alone(main, workdir, tmp_path):
    images, output = tmp_path / "new images", tmp_path / "out"
    write(tmp_path / "fibres", train=1, test=2, size=72)
    (tmp_path / "fibres/test").rename(images)
    call = ("--workdir", workdir, "--mode", "score", "--images", images, "--output", output)
    done = main(*call)
    assert done.returncode == 0, done.stderr
    assert "2 files: " in done.stderr
    names = {path.name for path in output.iterdir()}
    assert names >= {"scores.csv", "defects.csv", "maps", "masks", "overlays", "report.html"}
    (images / "bad.png").touch()  # reported, and the others are there
    assert "1 of 3 files got no verdict" in complaint(main(*call), code=4)
    changed = main(*call, "--config.score.stride=8")
    assert "config.score.stride = 16, not 8" in complaint(changed)
    for missing in (("--output", output), ("--images", images)):
        assert "--mode score needs" in complaint(main(*call[:4], *missing))
    assert "--images is for --mode score" in complaint(main(*call[:2], *call[4:6]))


def test_an_export_from_the_workdir_alone(main, workdir, tmp_path):
    done = main("--workdir", workdir, "--mode", "export", "--output", tmp_path / "exported")
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "exported").iterdir()}
    assert names == {"score.stablehlo", "model.json", "score.py"}
    call = ("--workdir", workdir, "--mode", "export", "--output", tmp_path / "onnx")
    done = main(*call, "--format", "onnx")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "onnx/score.onnx").is_file()
    assert "should be one of <stablehlo|onnx>" in complaint(main(*call, "--format=tflite"))
    misplaced = main("--workdir", workdir, "--mode", "evaluate", "--format=onnx")
    assert "--format is for --mode export" in complaint(misplaced)
    taken = main("--workdir", workdir, "--mode", "export", "--output", workdir)
    assert "holds something else" in complaint(taken)


def test_a_script_evaluates_a_checkpoint(workdir, tmp_path):
    script = "experiments/evaluate_checkpoint.py"
    done = call(script, "--workdir", workdir, "--output", tmp_path, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    stored = json.loads((tmp_path / "evaluation/thesis_tiles/metrics.json").read_text())
    assert f"{stored['scores']['l2']['auroc']:.3f}" in done.stdout


BIGAN = ("--config", "configs/bigan.py:smoke")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--config", "configs/bigan.py:big"),
            "no preset 'big'; there are thesis, medium, small, smoke",
        ),
        (("--config", "configs/none.py"), "config file not found: configs/none.py; give a path"),
        ((*BIGAN, "--config.model.widht=1"), 'Did you mean "width" instead of "widht"?'),
        ((*BIGAN, "--config.train.epochs=ten"), "invalid literal for int"),
        ((*BIGAN, "--config.model.init=he"), "must be one of: normal, xavier"),
        (
            (*BIGAN, "--config.score.name=best"),
            "bigan has: cross_entropy, discriminator, features",
        ),
        ((*BIGAN, "--config.eval.protocol=one_class"), "use thesis_tiles"),
        ((*BIGAN, "--config.data.name=nanotwise"), "nanotwise"),
        ((*BIGAN, "--flagfile=none"), "Unable to open flagfile"),
        (("--config", "/dev/null"), "the config file has no function get_config"),
        (("--mode", "evaluate"), "no run here"),
        ((*BIGAN, "--mode", "evaluate"), "no run here"),
        ((*BIGAN, "--mode", "guess"), "should be one of"),
        ((*BIGAN, "--wrkdir", "x"), "Unknown command line flag 'wrkdir'"),
        ((*BIGAN, "now"), "unexpected argument 'now'"),
    ],
)
def test_mistakes_end_in_one_line_and_write_nothing(main, tmp_path, arguments, message):
    folder = tmp_path / "run"
    done = main(*arguments, "--workdir", folder)
    assert message in complaint(done)
    assert not folder.exists()


def test_neither_config_nor_workdir(tmp_path):
    assert "neither --config nor --workdir given" in complaint(started())
    assert "--workdir is missing" in complaint(started(*BIGAN))


def test_data_that_is_not_there(main, tmp_path):
    folder = tmp_path / "run"
    done = main("--config", "configs/bigan.py:small", "--workdir", folder)
    assert "config.data.dir" in complaint(done)
    done = main(*BIGAN, "--workdir", folder, "--config.data.name=folder", "--config.data.dir=none")
    assert "none" in complaint(done)
    assert not folder.exists()


def test_a_workdir_of_another_run(main, workdir):
    done = main("--config", "configs/bigan.py:smoke", "--workdir", workdir)
    assert "config.method = 'autoencoder', not 'bigan'" in complaint(done)


def test_checkpoints_without_a_config_are_not_trained_over(main, workdir, tmp_path):
    shutil.copytree(workdir / "checkpoints", tmp_path / "checkpoints")
    done = main("--config", "configs/autoencoder.py:smoke", "--workdir", tmp_path, *TINY)
    assert "config.json is missing" in complaint(done)


def test_a_workdir_without_checkpoints(main, workdir, tmp_path):
    (tmp_path / "config.json").write_text((workdir / "config.json").read_text())
    done = main("--workdir", tmp_path, "--mode", "evaluate")
    assert "no checkpoint to restore" in complaint(done)


def test_a_workdir_that_cannot_be_written(main, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    done = main("--config", "configs/autoencoder.py:smoke", "--workdir", blocked / "run", *TINY)
    assert str(blocked) in complaint(done)


def test_divergence_has_its_own_exit_code(main, tmp_path):
    # A weight that overflows float32 makes the loss infinite at once.
    done = main(*BIGAN, "--workdir", tmp_path / "run", *TINY, "--config.loss.feature_matching=1e39")
    assert "the loss generator/loss is" in complaint(done, 3)
    assert "at step 1" in complaint(done, 3)
    assert not (tmp_path / "run/evaluation").exists()


def test_the_console_script_is_the_command_line():
    (script,) = entry_points(group="console_scripts", name="semad")
    assert script.load() is console_script


@pytest.mark.parametrize("form", [("--config={}",), ("-config={}",), ("--config", "{}")])
@pytest.mark.parametrize("preset", ["", ":smoke"])
def test_a_name_stands_for_the_installed_config(tmp_path, monkeypatch, form, preset):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bigan").mkdir()  # a folder, such as a workdir, is no config
    others = ["--workdir", "bigan", "--mode=train", "--config.seed=1"]
    given = ["semad", *(part.format(f"bigan{preset}") for part in form), *others]
    found = with_config_file(given)
    assert found[-4:] == others
    path, _, chosen = found[len(form)].removeprefix("--config=").partition(":")
    assert (Path(path).name, chosen) == ("bigan.py", preset.strip(":"))
    assert Path(path).samefile(ROOT / "configs/bigan.py")
    assert len(found) == len(given)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--config", "configs/bigan.py:smoke"],
        ["--config=configs/bigan.py"],
        ["--config=none:smoke"],
        ["--config=common"],
        ["--config"],
        ["--config="],
        ["--workdir", "bigan"],
        [],
    ],
)
def test_what_is_no_name_stays_as_it_is(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    assert with_config_file(["semad", *arguments]) == ["semad", *arguments]


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bigan").touch()
    assert with_config_file(["semad", "--config", "bigan"]) == ["semad", "--config", "bigan"]


def test_every_system_has_a_config_by_name():
    assert {"bigan", "recommended", "vae"} <= set(config_names())
    assert not {"common", "__init__"} & set(config_names())


def test_the_console_script_outside_a_clone(tmp_path):
    """It knows the configs by name, and what is wrong with a value of theirs."""
    call_of = ("--workdir", "bigan", "--config", "bigan:smoke")
    wrong = installed(*call_of, "--config.model.init=he", cwd=tmp_path)
    assert "config.model.init is 'he'; it must be one of: normal, xavier" in complaint(wrong)
    preset = installed("--config=bigan:big", "--workdir=bigan", cwd=tmp_path)
    assert "no preset 'big'; there are thesis, medium, small, smoke" in complaint(preset)
    unknown = installed("--config=biggan:smoke", "--workdir=bigan", cwd=tmp_path)
    assert "config file not found: biggan; give a path" in complaint(unknown)
    assert "alad, ali, anogan" in complaint(unknown)
    assert not any(tmp_path.iterdir())


def test_a_config_of_ones_own_by_its_path(tmp_path):
    """It changes one of semad's, and lies outside the clone."""
    (tmp_path / "mine.py").write_text(
        "from semad.configs import bigan\n\n\n"
        "def get_config(preset='small'):\n"
        "    config = bigan.get_config(preset)\n"
        "    config.model.init = 'he'\n"
        "    return config\n"
    )
    done = installed("--config", "mine.py:smoke", "--workdir", "run", cwd=tmp_path)
    assert "config.model.init is 'he'" in complaint(done)


@pytest.fixture
def without_jax(tmp_path):
    """A process in which whoever imports JAX fails."""
    (tmp_path / "jax.py").write_text("raise SystemExit('jax was imported')\n")
    return {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}


@pytest.mark.parametrize(
    ("start", "flag"),
    [((ROOT / "main.py",), "--helpshort"), (("-m", "semad"), "-h"), (("-m", "semad"), "--help")],
)
def test_help_lists_all_flags_and_ends_well(tmp_path, without_jax, start, flag):
    listed = call(*start, flag, cwd=tmp_path, **without_jax)
    assert listed.stderr == ""
    assert listed.returncode == 0
    for name in ("--config:", "--config.seed:", "--workdir:", "--mode:", "--images:", "--output:"):
        assert f" {name} " in listed.stdout
    assert "recommended, sencebgan" in listed.stdout


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--num_processes=2"], "--process_id belong together; give all three, or --distributed"),
        (
            ["--coordinator_address=a:1", "--num_processes=2", "--process_id=2"],
            "--num_processes=2 --process_id=2: give host:port",
        ),
        (
            ["--coordinator_address=a", "--num_processes=2", "--process_id=0"],
            "--coordinator_address='a' --num_processes=2 --process_id=0: give host:port",
        ),
        (["--distributed", "--mode=score"], "--mode score is work of one process; start one"),
    ],
)
def test_flags_of_several_processes_that_do_not_fit(tmp_path, without_jax, flags, says):
    call_ = ("-m", "semad", "--config=bigan", "--workdir=x", *flags)
    assert says in complaint(call(*call_, cwd=tmp_path, **without_jax))


@pytest.mark.parametrize("flag", ["--wrkdir=x", "--config.sed=1", "--config=biggan", "--mode=ask"])
def test_a_mistyped_flag_is_answered_before_jax_is_imported(tmp_path, without_jax, flag):
    done = call("-m", "semad", "--config=bigan", flag, cwd=tmp_path, **without_jax)
    assert complaint(done)
    done = call("-m", "semad", "--config=bigan", "--workdir=x", cwd=tmp_path, **without_jax)
    assert done.stderr == "jax was imported\n"


def test_no_mode_imports_tensorflow_datasets(tmp_path):
    """It takes seconds, and only two data sources read with it."""
    code = "import sys, semad.modes; print({'jax', 'tensorflow_datasets'} & sys.modules.keys())"
    assert call("-c", code, cwd=tmp_path).stdout == "{'jax'}\n"


def test_the_64_bit_mode_of_jax_changes_nothing(workdir, tmp_path):
    own = ("--config", "configs/autoencoder.py:smoke", "--workdir", tmp_path / "run", *TINY)
    done = started(*own, "--mode", "train", JAX_ENABLE_X64="1")
    assert done.returncode == 0, done.stderr
    logs = [(folder / "log.jsonl").read_text().splitlines() for folder in (workdir, own[3])]
    assert len(logs[0]) == len(logs[1]) > 0
    for lines in zip(*logs, strict=True):
        one, other = (json.loads(line) for line in lines)
        for key in one.keys() - {"seconds", "images_per_second"}:
            assert one[key] == other[key], key
    restored = semad.restore(own[3]).state
    dtypes = {str(leaf.dtype) for leaf in jax.tree.leaves((restored.weights, restored.opt_state))}
    assert dtypes == {"float32", "int32"}


def test_a_backend_that_is_not_there(tmp_path):
    for name in ("cuda", "nonsense"):
        done = started(*BIGAN, "--workdir", tmp_path / "run", JAX_PLATFORMS=name)
        assert f"JAX_PLATFORMS is '{name}', and JAX has no such device" in complaint(done)
    assert not (tmp_path / "run").exists()


def test_the_home_of_a_path(monkeypatch):
    monkeypatch.setenv("HOME", "/home/of/mine")
    assert expanded("--output", "~/x") == Path("/home/of/mine/x")
    assert expanded("--output", "a/~") == Path("a/~")
    assert expanded("--output", "") is expanded("--output", None) is None
    somebody = "~nobody-of-that-name/x"
    one_line(lambda: expanded("--output", somebody), f"--output is {somebody}", "no such home")
    settings = resolve(named("bigan", "smoke", ["data.name=folder", "data.dir=~/images"]))
    one_line(lambda: sources.load(settings.data), "/home/of/mine/images")


def test_the_home_of_a_workdir(main, tmp_path):
    done = main("--workdir=~/run", "--mode=evaluate", HOME=str(tmp_path))
    assert f"{tmp_path}/run: no run here" in complaint(done)


@pytest.mark.parametrize("start", ["main.py", "-c"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_while_modules_are_imported(tmp_path, start, name):
    """JAX takes seconds; this stand-in is hit by the signal in their midst."""
    (tmp_path / "jax.py").write_text(
        f"import os, signal, time\nos.kill(os.getpid(), signal.{name})\ntime.sleep(30)\n"
    )
    script = [ROOT / start] if start != "-c" else ["-c", "from semad.cli import main; main()"]
    own = ("--config=bigan:smoke", "--workdir=run")
    done = call(*script, *own, cwd=tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert f"stopped by {name}" in complaint(done, 130)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff" * 99, "no config of semad"),
        (b"[" * 10**5, "nested too deeply"),
        (b"{}", "no config"),
    ],
)
def test_any_bytes_in_config_json(main, tmp_path, content, says):
    (tmp_path / "config.json").write_bytes(content)
    assert says in complaint(main("--workdir", tmp_path, "--mode", "evaluate"))


def test_numbers_beyond_all_bounds_are_answered_at_once(main, tmp_path):
    huge = "--config.population.seeds=99999999999999999999999"
    done = main(*BIGAN, "--workdir", tmp_path / "run", huge)
    assert "config.population.seeds is 99999999999999999999999; it must be" in complaint(done)

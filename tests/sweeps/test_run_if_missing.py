"""Ablation, comparison and sweep: what is there is not done again, and tables say what it was."""

import argparse
import csv
import json

import numpy as np
import pytest

from experiments import ablation, compare, sweep
from semad import pipeline, plots
from semad.errors import TrainingDiverged, UserError
from semad.evaluation.compared import read_baselines, read_metrics, read_variants
from semad.losses.adversarial import COMBINATIONS
from semad.metrics import statistics
from semad.metrics.ranking import metric_names
from semad.reports import ablation as tables
from semad.reports import comparison
from semad.sweeps import budget, grid
from semad.sweeps import run_if_missing as run_if_missing_module
from semad.sweeps.run_if_missing import publish, rounded, run_if_missing
from tests import tiny

TINY = [
    "data.name=digits",
    "data.patch_size=16",
    "model.width=0.03125",
    "model.latent_dim=8",
    "score.chunk=16",
    "train.batch_size=16",
    "train.epochs=1",
    "score.stride=16",
    "eval.max_items=60",
    "eval.max_holdout_items=20",
]


@pytest.fixture(scope="module", autouse=True)
def few_resamples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "RESAMPLES", 25)
        yield


@pytest.fixture(scope="module")
def population(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("population")
    config = tiny.config("bigan", population__seeds=2, population__tricks="none,IN+SL+LF")
    return config, workdir, run_if_missing(workdir, config)


def test_what_is_there_is_not_done_again(population):
    config, workdir, folder = population
    before = (folder / "metrics.json").stat().st_mtime_ns
    assert run_if_missing(workdir, config) == folder
    assert (folder / "metrics.json").stat().st_mtime_ns == before
    assert not folder.with_name("one_class.1").exists()
    other = tiny.config("bigan", population__seeds=2, population__tricks="none,IN+SL+LF")
    other.score.name = "l1"
    again = run_if_missing(workdir, other, workdir / "by_l1")
    assert read_metrics(again)["score"] == "l1"
    assert read_metrics(again)["training_seconds"] == read_metrics(folder)["training_seconds"] > 0
    assert (folder / "metrics.json").stat().st_mtime_ns == before
    other.train.batch_size = 8
    with pytest.raises(UserError, match="config.train.batch_size"):
        run_if_missing(workdir, other)


def test_other_test_images_are_another_evaluation(population, tmp_path, monkeypatch):
    config, workdir, folder = population
    prepare = pipeline.prepare
    first = run_if_missing(workdir, config, tmp_path)

    def swapped(system, source=None):
        run = prepare(system, source)
        test = [255 - run.source.test[0], *run.source.test[1:]]
        return run._replace(source=run.source._replace(test=test))

    monkeypatch.setattr(pipeline, "prepare", swapped)
    assert run_if_missing(workdir, config, tmp_path) == first
    digests = [
        json.loads((path / "metrics.json").read_text())["test_data_sha256"]
        for path in (first, first.with_name(f"{first.name}.1"))
    ]
    assert len(set(digests)) == 2
    run_if_missing(workdir, config, tmp_path)
    assert not first.with_name(f"{first.name}.2").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"auroc": 1'])
def test_a_damaged_evaluation_is_done_again(tmp_path, caplog, text):
    (tmp_path / "metrics.json").write_text(text)
    run = tiny.prepare("autoencoder")
    assert not run_if_missing_module._evaluated(tmp_path, run, [7])
    assert f"{tmp_path}: metrics.json is damaged" in caplog.text


def test_variants_are_what_the_metrics_say(population):
    _, _, folder = population
    result = read_metrics(folder)
    found = read_variants(folder)
    assert [entry.name for entry in found] == ["none", "IN+SL+LF"]
    once = np.ones(result["n_test"])
    binned = [one for entry in found for one in entry.binned]
    for one, member in zip(binned, result["members"], strict=True):
        own = statistics.weighted_metrics(one, once)
        expected = [member[key] for key in metric_names()]
        assert own == pytest.approx(expected, abs=1e-6)
    with pytest.raises(UserError, match="no evaluation here"):
        read_variants(folder / "nowhere")
    for entry in read_baselines(folder):
        own = statistics.weighted_metrics(entry.binned[0], once)
        key = entry.name.replace(" ", "_")
        assert own[0] == pytest.approx(result["baselines"][key]["auroc"], abs=1e-6)


def test_the_tables_of_an_ablation(population, tmp_path):
    _, _, folder = population
    made = ablation.report(folder, "python ...")
    result = read_metrics(folder)
    # Flipped labels change nothing but names in a game of cross-entropy.
    assert [row["name"] for row in made["rows"]] == ["Normal", "IN + SL"]
    for row, part in zip(made["rows"], result["by_variant"].values(), strict=True):
        for key in ("auroc", "precision", "recall", "f1"):
            assert row[key]["mean"] == pytest.approx(part["mean"][key], abs=1e-6)
            assert row[key]["std"] == pytest.approx(part["std"][key], abs=1e-6)
    assert (made["seeds"], made["percentile"]) == ([0, 1], "best")
    first = [one for one in result["members"] if one["tricks"] == "none"]
    best = [one["scores"][made["score"]]["transductive_best"]["f1"] for one in first]
    assert made["rows"][0]["transductive"]["f1"] == pytest.approx(np.mean(best))
    ablation.write(tmp_path, made)
    assert json.loads((tmp_path / "report.json").read_text()) == json.loads(json.dumps(made))
    mean, std = (made["rows"][1]["auroc"][key] for key in ("mean", "std"))
    assert f"| IN + SL | {mean:.3f} ± {std:.3f} |" in (tmp_path / "table.md").read_text()
    latex = (tmp_path / "table.tex").read_text()
    assert rf"IN + SL & {mean:.3f} $\pm$ {std:.3f} &" in latex
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[1]["auroc"]) == mean
    assert rows[0]["auroc_difference"] == "" != rows[1]["auroc_difference"]
    assert (tmp_path / "figure.png").stat().st_size > 1000
    assert "Normal" in made["verdict"]


def test_an_ablation_asks_for_all_rows_and_three_seeds():
    config = tiny.config("bigan")
    ablation.settle(config)
    assert (config.population.tricks, config.population.seeds) == ("none,IN,SL,IN+SL", 3)
    other = tiny.config("ebgan")  # its energies are no logits
    ablation.settle(other)
    assert other.population.tricks == "all"
    config.population.tricks = "IN,none"
    with pytest.raises(UserError, match="must begin with none"):
        ablation.settle(config)


def test_two_draws_of_one_condition_are_one_row():
    name = ablation.titles(symmetric=True)
    assert name == {
        "none": "Normal", "LF": "Normal", "IN": "IN", "IN+LF": "IN",
        "SL": "SL", "SL+LF": "SL", "IN+SL": "IN + SL", "IN+SL+LF": "IN + SL",
    }  # fmt: skip
    assert ablation.titles(symmetric=False)["IN+SL+LF"] == "LF + SL + IN"
    variants = [statistics.ComparedSystem(tricks, [tricks]) for tricks in COMBINATIONS]
    rows = ablation.pooled(variants, name)
    assert [(row.name, row.binned) for row in rows] == [
        ("Normal", ["none", "LF"]),
        ("IN", ["IN", "IN+LF"]),
        ("SL", ["SL", "SL+LF"]),
        ("IN + SL", ["IN+SL", "IN+SL+LF"]),
    ]


def test_names_of_rows():
    assert [tables.title(one) for one in ("none", "IN", "IN+SL", "IN+SL+LF")] == [
        "Normal",
        "IN",
        "IN + SL",
        "LF + SL + IN",
    ]


def test_a_comparison_with_equal_steps(tmp_path):
    arguments = argparse.Namespace(
        systems="bigan,autoencoder",
        preset="smoke",
        workdir=tmp_path,
        budget="steps=8",
        seeds=2,
        overrides=[*TINY, "data.normal_class=3"],
    )
    made = compare.report(arguments)
    rows = {row["name"]: row for row in made["rows"]}
    assert {"bigan", "autoencoder", "brightness", "pca_ssim", "kmeans_l2"} <= rows.keys()
    assert rows["bigan"]["steps"] == rows["autoencoder"]["steps"] == 8 // 7 * 7
    values = [row["auroc"]["mean"] for row in made["rows"]]
    assert values == sorted(values, reverse=True)
    assert made["reference"] in ("brightness", "contrast", "local minimum")
    assert {"reference", "verdict", "n_test"} <= made.keys()
    arguments.budget = "steps=16"
    with pytest.raises(UserError, match="holds a comparison with budget"):
        compare.report(arguments)
    assert rows["bigan"]["auroc"]["difference"]["interval"]
    assert rows["autoencoder"]["parameters"] == budget.parameters(tiny.config("autoencoder"))
    page = comparison.markdown(made)
    assert f"| {rows['bigan']['auroc']['mean']:.3f} ± " in page
    plots.forest(tmp_path / "ranking.png", made["rows"], "auroc", made["reference"])


@pytest.mark.parametrize("text", ["steps", "stages=3", "steps=1k"])
def test_a_budget_of_nothing_known(text):
    with pytest.raises(UserError, match="must be like"):
        compare.allowance(text)


def test_systems_of_two_protocols_are_no_ranking(tmp_path):
    arguments = argparse.Namespace(
        systems="bigan,inpainting",
        preset="smoke",
        workdir=tmp_path,
        budget="",
        seeds=1,
        overrides=[],
    )
    with pytest.raises(UserError, match="the systems differ in eval.protocol"):
        compare.report(arguments)


GRID = ["lr.encoder=1e-4,1e-3", "loss.reconstruction=l1,l2", "score.name=l1,ssim"]


def test_a_grid_takes_as_few_runs_as_shapes_allow(tmp_path):
    jobs = grid.plan(tiny.config("autoencoder"), grid.axes(GRID), tmp_path)
    # Rates train together; another loss is another program, and a score another evaluation.
    assert [job.own for job in jobs] == [("loss.reconstruction=l1",), ("loss.reconstruction=l2",)]
    assert jobs[0].config.population.points == "lr.encoder=1e-4;lr.encoder=1e-3"
    assert [point for point, _ in jobs[0].evaluations] == [("score.name=l1",), ("score.name=ssim",)]


@pytest.mark.parametrize(
    ("method", "axis"), [("fanogan", "loss.kappa=0.5,1.0"), ("vae", "loss.beta=0.01,0.1")]
)
def test_weights_of_losses_and_scores_train_together(method, axis, tmp_path):
    (job,) = grid.plan(tiny.config(method), grid.axes([axis]), tmp_path)
    key, _, values = axis.partition("=")
    points = ";".join(f"{key}={value}" for value in values.split(","))
    assert job.config.population.points == points


def test_a_sweep_writes_a_row_per_point(tmp_path):
    axes = grid.axes(["lr.encoder=1e-4,1e-1", "score.name=l1,ssim"])
    (job,) = grid.plan(tiny.config("autoencoder", population__seeds=2), axes, tmp_path)
    rows = sweep.complete(job)
    sweep._write(tmp_path, rows)
    assert len(rows) == 4
    assert {(row["lr.encoder"], row["score"]) for row in rows} == {
        (rate, score) for rate in ("1e-4", "1e-1") for score in ("l1", "ssim")
    }
    assert all(row["seeds"] == 2 and row["auroc_std"] is not None for row in rows)
    stored = json.loads((tmp_path / "results.json").read_text())
    assert stored["rows"] == json.loads(json.dumps(rows))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["lr.encoder"], "must be like"),
        (["lr.encoder="], "must be like"),
        (["seed=1,2", "seed=3"], "named twice"),
        (["method=bigan,alad"], "no value of one config"),
    ],
)
def test_a_grid_that_is_none(asked, says):
    with pytest.raises(UserError, match=says):
        grid.axes(asked)


def test_a_command_per_run(monkeypatch):
    monkeypatch.setattr("sys.argv", ["sweep.py", "--slurm=a=1"])
    asked = argparse.Namespace(config="c", workdir="w", grid=["g=1,2"], overrides=["k=v"])
    assert sweep._command(asked, 2)[1:] == [
        *("sweep.py", "--config", "c", "--workdir", "w", "--grid", "g=1,2", "--only", "2", "k=v"),
    ]


def test_a_point_that_diverges_does_not_stop_the_others(tmp_path, monkeypatch):
    axes = grid.axes(["lr.encoder=1e-4,1e-3"])
    (job,) = grid.plan(tiny.config("autoencoder"), axes, tmp_path)

    def complete(one):
        if one.config.population.points or one.config.lr.encoder == 1e-3:
            raise TrainingDiverged("the loss is nan")
        return [{"lr.encoder": "1e-4", "auroc": 0.5}]

    monkeypatch.setattr(sweep, "complete", complete)
    rows = sweep.settle(job)
    assert rows[0] == {"lr.encoder": "1e-4", "auroc": 0.5}
    assert (rows[1]["lr.encoder"], rows[1]["error"]) == ("1e-3", "the loss is nan")


def test_folders_have_names_of_their_own():
    assert grid.folder_name(("lr.encoder=1e-4", "seed=1")) == "lr.encoder=1e-4,seed=1"
    long = [grid.folder_name((f"data.dir=/{'a' * 300}{end}",)) for end in "xy"]
    assert long[0] != long[1]
    assert max(map(len, long)) < 120
    assert grid.folder_name(("data.dir=/a/b",)) != grid.folder_name(("data.dir=_a_b",))


def test_fewer_epochs_than_were_trained_are_no_run(tmp_path):
    longer, shorter = (tiny.config("autoencoder", train__epochs=count) for count in (2, 1))
    pipeline.train(pipeline.prepare_in(tmp_path, longer), tmp_path)
    with pytest.raises(UserError, match="was trained to step 14, but its config asks for 7"):
        run_if_missing(tmp_path, shorter)


def test_what_is_published_is_kept_under_another_name(tmp_path):
    folder = tmp_path / "tables"
    for _ in range(2):  # the same again changes nothing
        publish(folder, {"a.md": "one", "b.md": "two"})
        assert [path.name for path in tmp_path.iterdir()] == ["tables"]
    publish(folder, {"a.md": "three"})
    assert (folder / "a.md").read_text() == "three"
    assert (tmp_path / "tables.1/a.md").read_text() == "one"


def test_results_are_rounded_to_five_digits():
    found = rounded({"a": [1 / 3, 7, None], "b": {"c": 12345678.9, "d": "text", "e": True}})
    assert found == {"a": [0.33333, 7, None], "b": {"c": 12346000.0, "d": "text", "e": True}}

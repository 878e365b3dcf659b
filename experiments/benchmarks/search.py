"""AnoGAN's searches against each other: how close, how costly, and what it does to detection.

python main.py --config configs/anogan.py:small --workdir runs/anogan \\
    --config.data.dir=data/nanotwice
python experiments/benchmarks/search.py --workdir runs/anogan \\
    --output experiments/results/search_cpu.json
python experiments/benchmarks/search.py --workdir runs/anogan --tiles 8192 --seconds 6 \\
    --skip-torch --output experiments/results/search_gpu.json   # on an accelerator

Every search scores the same tiles of NanoTWICE, drawn by a seed, with the same weights. On a part
of the normal ones a reference is searched for: from the encoder and from three draws, 1,000
evaluations each. A row has the objective L (median and 95th percentile, normal tiles), Spearman's
ρ of L with the reference's, AUROC and average precision of its scores, evaluations of the gradient
per tile, and seconds for 1,024 tiles, compilation not counted. PyTorch (extra `bench`) searches
with the same weights: one image at a time, as public AnoGAN code does, and in batches; both are
timed on fewer tiles and extrapolated, which the row says.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy.stats import spearmanr

from semad import losses, pipeline
from semad.config import files
from semad.data.normalisation import normalise
from semad.data.tiles import subset
from semad.evaluation.protocols import protocol_items
from semad.methods import anogan
from semad.methods.common import layer_settings
from semad.metrics.ranking import ranking
from semad.run.prepare import Run
from semad.run.system import scoring_state
from semad.run.workdir import restore
from semad.scoring.batched import ScoringState
from semad.scoring.items import cut_items
from semad.training.logs import training_seconds
from semad.utils.versions import versions

REFERENCE = {"recipe": "encoder", "steps": 1000, "lr": 0.05, "tolerance": 0.0, "restarts": 3}
REFERENCE_TILES = 128
SEARCHES: dict[str, dict[str, Any]] = {
    "as published, 25 steps": {"recipe": "published", "steps": 25},
    "as published, 100 steps": {"recipe": "published", "steps": 100},
    "as published, 500 steps": {"recipe": "published"},
    "as published, 500 steps, bfloat16": {"recipe": "published", "precision": "bfloat16"},
    "annealed, 25 steps": {"recipe": "annealed", "steps": 25},
    "annealed, 100 steps": {"recipe": "annealed"},
    "encoder, no step": {"steps": 0},
    "encoder, 5 steps": {"steps": 5, "tolerance": 0.0},
    "encoder, 10 steps": {"steps": 10, "tolerance": 0.0},
    "encoder, 25 steps": {"steps": 25, "tolerance": 0.0},
    "encoder, 50 steps": {"steps": 50, "tolerance": 0.0, "lr": 0.1},
    "encoder, 100 steps": {"steps": 100, "tolerance": 0.0, "lr": 0.1},
    "encoder, 25 steps, tolerance .001": {"steps": 25},
    "encoder, 25 steps, tolerance .001, 2 restarts": {"steps": 25, "restarts": 2},
    "encoder, 10 steps, bfloat16": {"steps": 10, "tolerance": 0.0, "precision": "bfloat16"},
}
"""Name -> what differs from `config.search` as it is by default."""

TORCH_IMAGES = (1, 64, 256)
_CHUNKED = 1024


class Tiles(NamedTuple):
    """What is searched for: normalised tiles (N, P, P, C), and which are anomalous (N,)."""

    images: np.ndarray
    labels: np.ndarray


Search = Callable[[ScoringState, jax.Array], tuple[anogan.Comparison, jax.Array, jax.Array]]


def make_search(run: Run, changes: dict[str, Any]) -> Search:
    """(member, images) -> how close each came, its `ssim` residual, and evaluations per image."""
    method = run.method
    values = {"recipe": "encoder", **dict.fromkeys(anogan.GIVEN), **changes}
    settings = run.settings.search.replace(**values)
    compare = anogan.make_comparison(settings.weight, settings.discrimination)
    find = anogan.make_search(settings, method.latent_dim, compare)

    @jax.jit
    def search(
        member: ScoringState, images: jax.Array
    ) -> tuple[anogan.Comparison, jax.Array, jax.Array]:
        nets = method.bind(member.weights)
        target = anogan.Target(images, nets.discriminator(images).features)
        found = find(nets, target, member.key, member.hparams)
        compared = compare(nets, found.z, target, member.hparams)
        return compared, losses.RESIDUALS["ssim"].value(images, compared.generated), found.steps

    return search


def in_chunks(
    search: Search, member: ScoringState, images: np.ndarray, chunk: int
) -> list[np.ndarray]:
    """Total, residual, ssim and steps of all images."""
    parts = []
    for start in range(0, len(images), chunk):
        part = images[start : start + chunk]
        padded = np.full((chunk, *images.shape[1:]), np.nan, np.float32)
        padded[: len(part)] = part
        compared, ssim, steps = jax.device_get(search(member, padded))
        rows = (compared.total, compared.residual, ssim, steps)
        parts.append([values[: len(part)] for values in rows])
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def draw_tiles(run: Run, count: int, seed: int = 0) -> Tiles:
    """Tiles of the thesis' protocol, drawn by a seed."""
    items, labels = protocol_items("thesis_tiles", run.source, run.sampling.patch_size, 16)
    rows = subset(len(labels), count, seed)
    patches = cut_items(run.source.test, items[rows], run.sampling.patch_size)
    return Tiles(np.asarray(normalise(patches, run.method.normalisation)), labels[rows])


def row_of(
    name: str, values: list[np.ndarray], tiles: Tiles, times: list[float], reference: np.ndarray
) -> dict[str, Any]:
    """A row of the table."""
    total, residual, ssim, steps = values
    normal = total[~tiles.labels]
    scores = {"anomaly": total, "residual": residual, "ssim": ssim}
    return {
        "search": name,
        "median": float(np.median(normal)),
        "p95": float(np.quantile(normal, 0.95)),
        "spearman": float(spearmanr(normal[: len(reference)], reference)[0]),
        "scores": {key: ranking(tiles.labels, one) for key, one in scores.items()},
        "evaluations": float(steps.mean()),
        "seconds": median(times) * _CHUNKED / len(total),
        "repeats": len(times),
    }


def measure(
    run: Run, member: ScoringState, tiles: Tiles, patience: float, wanted: list[str]
) -> list[dict[str, Any]]:
    """Rows of semad's searches; each is repeated, up to five times, while that takes no longer than
    `patience` seconds."""
    chunk = run.system.scoring.chunk
    normal = tiles.images[~tiles.labels][:REFERENCE_TILES]
    reference = in_chunks(make_search(run, REFERENCE), member, normal, len(normal))[0]
    print(f"reference: median {np.median(reference):.1f} on {len(normal)} normal tiles", flush=True)
    rows = []
    for name in wanted:
        search = make_search(run, SEARCHES[name])
        warm = search(member, np.full((chunk, *tiles.images.shape[1:]), np.nan, np.float32))
        jax.block_until_ready(warm)
        times: list[float] = []
        while not times or (sum(times) + times[0] < patience and len(times) < 5):
            start = time.perf_counter()
            values = in_chunks(search, member, tiles.images, chunk)
            times.append(time.perf_counter() - start)
        rows.append(row_of(name, values, tiles, times, reference))
        show(rows[-1])
    return rows


def measure_torch(
    run: Run, member: ScoringState, tiles: Tiles, patience: float
) -> list[dict[str, Any]]:
    """Rows of the published search in PyTorch."""
    import torch
    from peers.anogan import anogan_nets, anogan_search
    from peers.weights import as_images, copy_weights

    model, weight = run.settings.model, run.settings.search.weight
    nets = anogan_nets(model.latent_dim, layer_settings(model))
    copy_weights(nets, jax.device_get(member.weights))
    start = torch.from_numpy(np.array(jax.random.normal(member.key, (1, model.latent_dim))))
    steps = anogan.RECIPES["published"].steps
    normal = as_images(tiles.images[~tiles.labels])
    rows = []
    for size in TORCH_IMAGES:
        search = anogan_search(nets, start, steps, weight)
        anogan_search(nets, start, 2)(normal[:size])
        times, values = [], []
        while len(times) < 2 or (sum(times) < patience and len(times) < 5):
            part = normal[len(times) * size : (len(times) + 1) * size]
            begun = time.perf_counter()
            values += search(part).tolist()
            times.append(time.perf_counter() - begun)
        rows.append(
            {
                "search": f"PyTorch, as published, {size} at once",
                "median": median(values),
                "evaluations": steps,
                "seconds": median(times) * _CHUNKED / size,
                "repeats": len(times),
                "extrapolated_from": len(values),
            }
        )
        show(rows[-1])
    return rows


def usual() -> list[str]:
    """All searches; on a CPU, which emulates it, none in bfloat16."""
    emulated = jax.default_backend() == "cpu"
    return [name for name in SEARCHES if not (emulated and name.endswith("bfloat16"))]


def show(row: dict[str, Any]) -> None:
    """Prints the heads of a row."""
    auroc = row["scores"]["anomaly"]["auroc"] if "scores" in row else float("nan")
    print(
        f"{row['search']:40} L {row['median']:8.1f}  ρ {row.get('spearman', float('nan')):.3f}  "
        f"AUROC {auroc:.3f}  {row['evaluations']:7.1f} evaluations  {row['seconds']:9.2f} s",
        flush=True,
    )


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--workdir", type=Path, required=True, help="of an AnoGAN on NanoTWICE")
    parser.add_argument("--data-dir", help="of NanoTWICE; by default where the run had it")
    parser.add_argument("--tiles", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=60.0, help="to repeat a search in")
    parser.add_argument("--searches", help="names, with semicolons; by default all")
    parser.add_argument("--skip-torch", action="store_true")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    config = files.load(given.workdir)
    config.data.dir = given.data_dir or config.data.dir
    run = pipeline.prepare_in(given.workdir, config)
    state = restore(given.workdir, run.system)
    member = scoring_state(run.system, state, 0)
    tiles = draw_tiles(run, given.tiles)
    wanted = given.searches.split(";") if given.searches else usual()
    rows = measure(run, member, tiles, given.seconds, wanted)
    if not given.skip_torch:
        rows += measure_torch(run, member, tiles, given.seconds)
    if given.output:
        record = {
            "versions": versions(),
            "preset": run.settings.preset,
            "steps": int(state.step[0]),
            "training_seconds": training_seconds(given.workdir),
            "tiles": len(tiles.labels),
            "anomalous": int(tiles.labels.sum()),
            "rows": rows,
        }
        given.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()

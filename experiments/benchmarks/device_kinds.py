"""What `device.py` measures, each kind of case in a process of its own.

Heavy modules are imported in the functions: the process that only starts the others needs none.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

ROUNDS = 5
NANOTWICE_TILES, PUBLISHED_STEPS = 103_320, 500
SEARCH_STEPS = 20


class Case(NamedTuple):
    """What a process measures.

    Attributes:
      kind: one of `KINDS`.
      preset: of the config; the size of the networks.
      system: name of a config.
      convolution: one of `semad.nets.conv.IMPLEMENTATIONS`, "" for the plan's.
      members: of a population, vmapped.
      steps: per dispatch, 0 for the plan's.
      patches: of a training step, 0 for the config's; of a call that scores, 0 for the plan's.
      latents: of a search, how many it is given; all of them, or fewer, move together.
      together: of a search.
      precision: of a search.
    """

    kind: str
    preset: str = "thesis"
    system: str = ""
    convolution: str = ""
    members: int = 1
    steps: int = 0
    patches: int = 0
    latents: int = 0
    together: int = 0
    precision: str = "float32"


Timed = tuple[dict[str, Any], Callable[[], dict[str, Any]]]
"""What compiling showed, and a call that times."""


def training(case: Case) -> Timed:
    """Every phase of a system."""
    from population import make_trainer

    from semad.config.overrides import named
    from semad.run.prepare import prepare
    from semad.utils import backend

    overrides = ["data.name=nanofibres", "data.train_images=4", "data.test_images=2"]
    if case.patches:
        overrides.append(f"train.batch_size={case.patches}")
    run = prepare(named(case.system, case.preset, overrides))
    steps = case.steps or backend.plan().steps_per_dispatch
    trainers = [
        make_trainer(run, case.members, True, steps, phase) for phase in range(len(run.phases))
    ]
    compiled = {
        "compile_seconds": [round(trainer.compile_seconds, 1) for trainer in trainers],
        "bytes": [trainer.bytes for trainer in trainers],
        "phases": [phase.name for phase, _, _ in run.phases],
        "phase_steps": [end - start for _, start, end in run.phases],
    }

    def measure() -> dict[str, Any]:
        rounds = [[trainer.call() for _ in range(ROUNDS + 1)][1:] for trainer in trainers]
        return {"milliseconds": [round(1e3 * median(times) / steps, 3) for times in rounds]}

    return compiled, measure


def search(case: Case) -> Timed:
    """AnoGAN's published search, at fewer steps: its cost is linear in them."""
    import jax
    import numpy as np

    from semad.config.overrides import named
    from semad.run.state import init_population
    from semad.run.system import build, scoring_state
    from semad.scoring.batched import make_scorer

    overrides = ["search.recipe=published", f"search.steps={SEARCH_STEPS}"]
    overrides += [f"search.together={case.together}", f"search.precision={case.precision}"]
    system = build(named("anogan", case.preset, overrides))
    size = system.settings.data.patch_size
    state = scoring_state(system, init_population(system.method, system.seeds), 0)
    patches = np.random.default_rng(0).integers(0, 256, (case.latents, size, size, 1), np.uint8)
    scorer = make_scorer(system.method)
    start = time.perf_counter()
    jax.block_until_ready(scorer(state, patches))
    compiled = {"first_seconds": round(time.perf_counter() - start, 1)}

    def measure() -> dict[str, Any]:
        def once() -> float:
            start = time.perf_counter()
            jax.block_until_ready(scorer(state, patches))
            return time.perf_counter() - start

        per_step = median(once() for _ in range(3)) / case.latents / SEARCH_STEPS
        memory = jax.devices()[0].memory_stats() or {}
        return {
            "milliseconds": round(1e3 * per_step, 6),
            "peak_bytes": memory.get("peak_bytes_in_use", 0),
            "nanotwice_seconds": round(per_step * NANOTWICE_TILES * PUBLISHED_STEPS, 1),
        }

    return compiled, measure


def scoring(case: Case) -> Timed:
    """Calls of the program that maps are made by."""
    import jax
    import numpy as np

    from semad.config.overrides import named
    from semad.run.state import init_population
    from semad.run.system import build, scoring_state
    from semad.scoring.batched import make_scorer

    system = build(named(case.system, case.preset))
    state = scoring_state(system, init_population(system.method, system.seeds), 0)
    count, size = case.patches or system.scoring.chunk, system.settings.data.patch_size
    patches = np.random.default_rng(0).integers(0, 256, (count, size, size, 1), np.uint8)
    start = time.perf_counter()
    program = make_scorer(system.method, maps=True).lower(state, patches).compile()
    memory = program.memory_analysis()
    compiled = {
        "compile_seconds": round(time.perf_counter() - start, 1),
        "bytes": memory.argument_size_in_bytes + memory.temp_size_in_bytes,
    }

    def measure() -> dict[str, Any]:
        def once() -> float:
            start = time.perf_counter()
            jax.device_get(program(state, patches))
            return time.perf_counter() - start

        once()
        return {"milliseconds": round(1e3 * median(once() for _ in range(ROUNDS)) / count, 6)}

    return compiled, measure


def matmul(case: Case) -> Timed:
    """A plain product of 8192² (2048² on a CPU): what the device gives at most."""
    del case
    import jax
    import jax.numpy as jnp

    size = 2048 if jax.default_backend() == "cpu" else 8192

    def rate(dtype: Any, precision: str | None) -> float:
        a, b = (jax.random.normal(jax.random.key(seed), (size, size), dtype) for seed in (0, 1))
        multiply = jax.jit(lambda a, b: jnp.matmul(a, b, precision=precision))
        jax.block_until_ready(multiply(a, b))
        times = []
        for _ in range(11):
            start = time.perf_counter()
            jax.block_until_ready(multiply(a, b))
            times.append(time.perf_counter() - start)
        return round(2 * size**3 / median(times) / 1e12, 1)

    def measure() -> dict[str, Any]:
        return {
            "teraflop_per_second": {
                "float32": rate(jnp.float32, None),
                "float32, highest": rate(jnp.float32, "highest"),
                "bfloat16": rate(jnp.bfloat16, None),
            }
        }

    return {"size": size}, measure


def torch_peer(case: Case) -> Timed:
    """AnoGAN's step and its search, of all images and of one, in PyTorch, eager, TensorFloat-32 as
    XLA takes it."""
    import torch
    from peers import make_peer
    from peers.anogan import anogan_search

    from semad.config.overrides import named
    from semad.run.system import build

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_default_device(device)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    system = build(named("anogan", case.preset))
    latent, count = system.settings.model.latent_dim, system.settings.train.batch_size
    peer, searched = (make_peer(system.settings, system.method) for _ in range(2))
    batches = [(torch.rand(count, 1, 32, 32), torch.randn(count, latent))]
    find = anogan_search(searched.nets, torch.randn(1, latent), SEARCH_STEPS)
    images = torch.rand(case.latents, 1, 32, 32)

    def seconds(work: Callable[[], Any], repeats: int) -> float:
        def settle() -> None:
            if device == "cuda":
                torch.cuda.synchronize()

        for _ in range(3):
            work()
        times = []
        for _ in range(ROUNDS):
            settle()
            start = time.perf_counter()
            for _ in range(repeats):
                work()
            settle()
            times.append((time.perf_counter() - start) / repeats)
        return median(times)

    def measure() -> dict[str, Any]:
        together = seconds(lambda: find(images), 1) / case.latents / SEARCH_STEPS
        alone = seconds(lambda: find(images[:1]), 1) / SEARCH_STEPS
        return {
            "device": device,
            "training_milliseconds": round(1e3 * seconds(lambda: peer.step(batches), 20), 3),
            "search_milliseconds": round(1e3 * together, 6),
            "search_alone_milliseconds": round(1e3 * alone, 3),
        }

    return {}, measure


KINDS: dict[str, Callable[[Case], Timed]] = {
    "training": training,
    "search": search,
    "scoring": scoring,
    "matmul": matmul,
    "torch": torch_peer,
}

"""The convolutional systems: losses and scores by hand, and one answer for windows and patches."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from semad.config.settings import resolve
from semad.errors import UserError
from semad.methods import dense_discriminator, inpainting, spliced_batches
from semad.nets.dense import to_cells, to_pixels
from semad.nets.mixture import GaussianMixture
from semad.nets.thesis import DiscriminatorOutput
from semad.run.state import init_population, member
from semad.synthetic import splices
from semad.synthetic.cracks import crack
from semad.types import Batch
from semad.utils.rng import Stream, stream
from tests import tiny
from tests.methods.known import nets

KEY = jax.random.key(0)
IMAGES = jax.random.uniform(jax.random.key(1), (8, 32, 32, 1), minval=-1, maxval=1)
BATCH = Batch(IMAGES, jnp.zeros((8, 1)), jnp.float32(0))
GREY = 0.3


def judge(images):
    """Logits: the mean of every cell; features: its square and itself."""
    logits = to_cells(images[..., 0])
    return DiscriminatorOutput(logits, jnp.stack([logits**2, logits], axis=-1))


def discriminator_loss(rates, **more):
    recipe = spliced_batches.Recipe(spliced_batches.shares(rates, 8), **more)
    return dense_discriminator.discriminator_loss(partial(spliced_batches.splice_batch, recipe))


def test_cells_and_pixels():
    plane = jnp.arange(64.0).reshape(1, 8, 8)
    cells = to_cells(plane)
    expected = np.arange(64.0).reshape(2, 4, 2, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(cells[0], expected)
    np.testing.assert_allclose(to_pixels(jnp.full((1, 2, 2), 5.0)), 5.0)
    assert to_pixels(cells).shape == (1, 8, 8)


def test_the_discriminators_loss_is_the_cross_entropy_of_cells():
    """With a generator alone, of a constant: the spliced image is known from the mask."""
    rates = {"cutpaste": 0.0, "texture": 0.0, "generated": 1.0, "sheet": 0.0}
    loss = discriminator_loss(rates)
    known = nets(discriminator=judge, generator=lambda images, masks, noise: 0 * images + GREY)
    found, _ = loss(known, BATCH, KEY, {})
    masks = np.asarray(splices.draw_masks(stream(KEY, Stream.MASKS), 8, 32))
    spliced = IMAGES[..., 0] + masks * (np.tanh(GREY) - IMAGES[..., 0])
    logits, target = np.asarray(to_cells(spliced)), np.asarray(to_cells(masks))
    expected = np.log1p(np.exp(logits)) - target * logits
    assert float(found) == pytest.approx(expected.mean(), rel=1e-5)


def test_the_generators_loss_counts_inside_the_masks_alone():
    rates = {"cutpaste": 1.0, "texture": 0.0, "generated": 1.0, "sheet": 0.0}
    loss = dense_discriminator.generator_loss(spliced_batches.shares(rates, 8)["generated"])
    known = nets(discriminator=judge, generator=lambda images, masks, noise: 0 * images + GREY)
    found, terms = loss(known, BATCH, KEY, {"w_contextual": 2.0})
    images = np.asarray(IMAGES[4:, ..., 0])  # the second half is the generator's
    own = stream(stream(KEY, "generator"), Stream.MASKS)
    masks = np.asarray(splices.draw_masks(own, 4, 32))
    logits = np.asarray(to_cells(images + masks * (np.tanh(GREY) - images)))
    cells = np.asarray(to_cells(masks))
    adversarial = (np.log1p(np.exp(logits)) * cells).sum() / cells.sum()
    contextual = (np.abs(images - np.tanh(GREY)) * masks).sum() / masks.sum()
    assert float(terms["adversarial"]) == pytest.approx(adversarial, rel=1e-5)
    assert float(found) == pytest.approx(adversarial + 2 * contextual, rel=1e-5)


def test_without_generated_splices_there_is_no_generator():
    control = tiny.prepare("dense_discriminator", splices__generated=0.0).method
    assert control.nets.keys() == {"discriminator"}
    assert [update.name for update in control.phases[0].updates] == ["discriminator"]
    other = tiny.config("dense_discriminator", splices__texture=0.0, splices__sheet=1.0)
    assert dense_discriminator.build(resolve(other)).excluded_families == ("cutpaste", "film")


def test_a_sheet_shows_where_it_is_brighter(monkeypatch):
    """The target leaves out what the sheet lies behind, as the image does."""
    sheet = jnp.full((8, 32, 32, 1), GREY)
    monkeypatch.setitem(splices.SOURCES, "sheet", lambda key, images, part: sheet[part])
    rates = {"cutpaste": 0.0, "texture": 0.0, "generated": 0.0, "sheet": 1.0}
    loss = discriminator_loss(rates)
    found, _ = loss(nets(discriminator=judge), BATCH, KEY, {})
    images = np.asarray(IMAGES[..., 0])
    masks = np.asarray(splices.draw_masks(stream(KEY, Stream.MASKS), 8, 32))
    shown = np.where(images < GREY, masks, 0)
    assert 0 < shown.sum() < masks.sum()
    logits = np.asarray(to_cells(images + shown * (GREY - images)))
    expected = np.log1p(np.exp(logits)) - np.asarray(to_cells(shown)) * logits
    assert float(found) == pytest.approx(expected.mean(), rel=1e-5)


def test_the_target_has_the_cracks_too():
    """A generator of a constant, so that the spliced image is known from the masks."""
    rates = {"cutpaste": 0.0, "texture": 0.0, "generated": 1.0, "sheet": 0.0}
    known = nets(discriminator=judge, generator=lambda images, masks, noise: 0 * images + GREY)
    found, _ = discriminator_loss(rates, cracks=1.0)(known, BATCH, KEY, {})
    masks = splices.draw_masks(stream(KEY, Stream.MASKS), 8, 32)
    spliced = splices.splice(IMAGES, jnp.full_like(IMAGES, np.tanh(GREY)), masks)
    seen, lines = crack(stream(KEY, Stream.CRACKS), spliced, 1.0)
    target = np.asarray(to_cells(jnp.maximum(masks, lines)))
    assert target.mean() > float(to_cells(masks).mean())
    logits = np.asarray(judge(seen).logits)
    expected = np.log1p(np.exp(logits)) - target * logits
    assert float(found) == pytest.approx(expected.mean(), rel=1e-5)


def test_images_are_varied_before_anything_is_spliced_in():
    """A generator that is shown the images gives them back."""
    rates = {"cutpaste": 0.0, "texture": 0.0, "generated": 1.0, "sheet": 0.0}
    shown = []

    def copy(images, masks, noise):
        shown.append(images)
        return jnp.arctanh(jnp.clip(images, -0.99, 0.99))

    loss = discriminator_loss(rates, varied=0.5)
    loss(nets(discriminator=judge, generator=copy), BATCH, KEY, {})
    changed = np.abs(np.asarray(shown[0] - IMAGES)).mean(axis=(1, 2, 3)) > 1e-3
    expected = splices.vary_some(stream(KEY, Stream.VARIED), IMAGES, 0.5)
    np.testing.assert_allclose(shown[0], expected, rtol=1e-6)
    assert 0 < changed.sum() < 8


def test_the_score_of_a_patch_is_its_highest_3_by_3_cells():
    found = dense_discriminator.score(nets(discriminator=judge), IMAGES, KEY, {})
    cells = np.asarray(judge(IMAGES).logits)
    windows = np.lib.stride_tricks.sliding_window_view(cells, (3, 3), axis=(1, 2))
    expected = windows.mean(axis=(3, 4)).max(axis=(1, 2))
    np.testing.assert_allclose(found.scores["discriminator"], expected, rtol=1e-4, atol=1e-6)
    assert found.reconstructions is None
    np.testing.assert_allclose(found.maps["discriminator"], to_pixels(cells), rtol=1e-5, atol=1e-6)


def flat(images, masks):
    """Guesses .2 with a variance of e everywhere."""
    return jnp.concatenate([jnp.full_like(images, np.arctanh(0.2)), jnp.ones_like(images)], -1)


def test_the_lattice_hides_every_pixel_once_in_four_masks():
    masks = [inpainting.lattice((64, 48), 16, jnp.array([a, b])) for a in (0, 16) for b in (0, 16)]
    np.testing.assert_array_equal(sum(masks), 1)
    shifted = inpainting.lattice((64, 64), 16, jnp.array([5, 9]))
    assert float(shifted.mean()) == pytest.approx(0.25, abs=0.05)


def test_the_inpainters_loss_is_the_likelihood_of_hidden_pixels():
    found, terms = inpainting.make_inpainting_loss(8)(nets(inpainter=flat), BATCH, KEY, {})
    shifts = jax.random.randint(KEY, (8, 2), 0, 16)
    hidden = np.stack([inpainting.lattice((32, 32), 8, shift) for shift in shifts]).astype(bool)
    residual = np.square(np.asarray(IMAGES[..., 0]) - 0.2)[hidden]
    assert float(terms["residual"]) == pytest.approx(residual.mean(), rel=1e-4)
    assert float(found) == pytest.approx((0.5 * (1 + residual / np.e)).mean(), rel=1e-4)


def test_statistics_of_a_cell():
    made = inpainting.guess_all(nets(inpainter=flat), IMAGES, 16)
    found = np.asarray(inpainting.statistics(IMAGES, made, 16))
    assert found.shape == (8, 4, 4, 6)
    block = np.asarray(IMAGES[0, 4:20, 12:28, 0])  # the 16 pixels around the cell (1, 2)
    residual = np.square(block - 0.2).mean()
    parts = (residual, np.e, residual / np.e, block.var())
    expected = [*np.log(np.array(parts) + 1e-4), block.mean(), 0.2]
    np.testing.assert_allclose(found[0, 1, 2], expected, rtol=1e-4)
    corner = np.asarray(IMAGES[0, :12, :12, 0])
    np.testing.assert_allclose(found[0, 0, 0, 4], corner.mean(), rtol=1e-4)


def test_the_mixture_is_a_density():
    net = GaussianMixture(3, 0.8)
    x = jax.random.normal(KEY, (5, 2))
    variables = net.init(jax.random.key(2), x, train=False)
    below = jnp.full((3, 2, 2), 0.7)
    scale = jnp.array([[0.1, -0.2], [0.3, 0.0], [-0.4, 0.2]])
    share = jnp.array([0.0, 1.0, -1.0])
    params = variables["params"] | {"below": below, "scale": scale, "share": share}
    found = net.apply(variables | {"params": params}, x, train=False)
    expected = 0
    weights = np.exp(share) / np.exp(share).sum()
    for k in range(3):
        factor = np.array([[np.exp(scale[k, 0]), 0], [0.7, np.exp(scale[k, 1])]])
        covariance = np.linalg.inv(factor.T @ factor)
        mean = np.asarray(params["mean"][k])
        at = np.asarray(x) / np.sqrt(1 + 1e-5)  # running statistics of a start: 0 and 1
        expected += weights[k] * stats.multivariate_normal(mean, covariance).pdf(at)
    np.testing.assert_allclose(found, np.log(expected), rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("dense_discriminator", {}),
        ("dense_discriminator", {"train__density_epochs": 1}),
        ("inpainting", {}),
    ],
)
def test_the_middle_of_a_window_does_not_depend_on_where_it_ends(name, changes):
    """Shifted by a multiple of all strides and lattices: far from borders the answers agree."""
    run = tiny.prepare(name, model__init="xavier", **changes)
    weights = member(init_population(run.method, [0]), 0).ema
    image = jax.random.uniform(KEY, (1, 256, 224, 1), minval=-1, maxval=1)
    scalars = {key: value[0] for key, value in run.system.hparams.items()}
    bound = run.method.bind(weights)

    def middle(shift):
        """Of the same pixels, in a window that starts so many rows further down."""
        found = run.method.score(bound, image[:, shift : shift + 224], KEY, scalars)
        return np.asarray(found.maps[run.method.default_score])[0, 96 - shift : 128 - shift, 96:128]

    whole = middle(0)
    np.testing.assert_allclose(middle(32), whole, atol=1e-3 * whole.std())
    assert np.abs(middle(4) - whole).max() > 1e-2 * whole.std()  # the test can fail


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (dict.fromkeys(("cutpaste", "texture", "generated"), 0.0), "nothing to find"),
        ({"generated": 1e-3}, "splices.generated is 0.001 of 2.001.*not one image"),
    ],
)
def test_rates_that_fill_nothing(changes, complaint):
    with pytest.raises(UserError, match=complaint):
        tiny.prepare(
            "dense_discriminator", **{f"splices__{name}": rate for name, rate in changes.items()}
        )

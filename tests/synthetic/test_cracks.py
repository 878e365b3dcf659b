"""Cracks: thin, dark, and no more to be found than they show."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from semad.synthetic import cracks

KEY = jax.random.key(3)
IMAGES = jax.random.uniform(jax.random.key(1), (64, 48, 48, 3), minval=-1, maxval=1)


def test_lines_are_as_thin_as_they_should_be():
    lines = np.asarray(cracks.draw_lines(KEY, 64, 64))
    assert lines.shape == (64, 64, 64)
    assert (lines >= 0).all() and (lines <= 1).all()
    assert (lines > 0.5).any(axis=(1, 2)).mean() > 0.9
    depths = np.array(
        [ndimage.distance_transform_edt(np.pad(line > 0.5, 1)).max() for line in lines]
    )
    # The distance of the innermost pixel to the outside: about the half-width, .4 to 2.5 pixels.
    # Where a field is flat, at a fork or a bend, a line may be wider.
    assert np.median(depths) < 3
    assert np.mean(depths > 6) < 0.1
    assert np.mean([(line > 0.5).mean() for line in lines]) < 0.15


def test_a_crack_is_darker_than_what_it_covers():
    darker = np.asarray(cracks.darkened(KEY, IMAGES))
    assert (darker <= np.asarray(IMAGES)).all()
    assert darker.min() >= -1
    assert (darker < np.asarray(IMAGES) - 0.1).mean() > 0.3


def test_images_change_where_cracks_are_and_nowhere_else():
    smooth = jnp.broadcast_to(jnp.linspace(-0.9, 0.9, 48)[None, :, None, None], IMAGES.shape)
    seen, lines = cracks.crack(KEY, smooth, 0.5)
    change = np.abs(np.asarray(seen - smooth)).max(axis=-1)
    lines = np.asarray(lines)
    np.testing.assert_array_equal(change[lines == 0], 0)
    assert (change[lines == 1] > 0).all()
    assert (lines == 1).any()
    share = (lines > 0).any(axis=(1, 2)).mean()
    assert 0.3 < share < 0.7


def test_what_hides_in_the_noise_is_no_target(monkeypatch):
    monkeypatch.setattr(cracks, "darkened", lambda key, images: images - 1e-3)
    noisy = 0.3 * jax.random.normal(KEY, (8, 32, 32, 1))
    seen, lines = cracks.crack(KEY, noisy, 1.0)
    np.testing.assert_array_equal(lines, 0)
    np.testing.assert_array_equal(seen, noisy)


def test_the_share_is_of_images():
    _, none = cracks.crack(KEY, IMAGES, 0.0)
    np.testing.assert_array_equal(none, 0)

"""The convolutions against their definition, and the weights that are shipped."""

from __future__ import annotations

import numpy as np
import pytest

from studio.align.hear.attacks import DILATIONS as ATTACK_DILATIONS
from studio.align.hear.attacks import STEPS, bumps
from studio.align.hear.network import convolved, inside, through, weights
from studio.align.hear.phases import DILATIONS, PLACES
from studio.align.hear.spectra import BANDS, FINE_BANDS, PITCHES


@pytest.mark.parametrize("dilation", [1, 3, 40])
@pytest.mark.parametrize("frames", [1, 7, 50])
def test_a_convolution_is_what_it_says(frames: int, dilation: int) -> None:
    random = np.random.default_rng(frames)
    x, weight = random.standard_normal((frames, 3)), random.standard_normal((5, 3, 4))
    bias = random.standard_normal(4)
    expected = np.tile(bias, (frames, 1))
    for frame in range(frames):
        for tap in range(5):
            other = frame + (tap - 2) * dilation
            if 0 <= other < frames:
                expected[frame] += x[other] @ weight[tap]
    single = (a.astype(np.float32) for a in (x, weight, bias))
    assert convolved(*single, dilation) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("cuts", [(), (1,), (3, 4, 40), (64, 65, 90)])
@pytest.mark.parametrize("dilation", [1, 7, 60])
def test_a_sound_goes_through_a_layer_in_pieces_as_in_one(dilation: int, cuts: tuple[int, ...]) -> None:
    random = np.random.default_rng(dilation)
    x, weight, bias = (random.standard_normal(shape).astype(np.float32) for shape in ((100, 3), (5, 3, 4), 4))
    pieces = through(
        np.split(x, cuts), np.zeros(3, np.float32), 2 * dilation, lambda held: inside(held, weight, bias, dilation)
    )  # fmt: skip
    found = list(pieces)
    assert np.concatenate(found) == pytest.approx(convolved(x, weight, bias, dilation), abs=1e-5)
    if dilation == 1 and len(cuts) == 3:
        assert len(found) > 1


def test_the_weights_fit_the_networks() -> None:
    attacks, phases = weights("attacks"), weights("phases")
    assert attacks["scale"].shape == (FINE_BANDS + STEPS,)
    assert phases["scale"].shape == (2 * BANDS + PITCHES,)
    assert phases["out/bias"].shape == (PLACES,)
    assert f"{len(ATTACK_DILATIONS) - 1}/weight" in attacks
    assert f"wide/{len(DILATIONS) - 1}/weight" in phases
    assert all(np.isfinite(value).all() for stored in (attacks, phases) for value in stored.values())


def test_bumps_are_where_likelihood_gathers() -> None:
    likely = np.zeros(400, np.float32)
    likely[100], likely[101] = 0.25, 0.75  # an attack three quarters of the way between two frames
    likely[200:241] = 0.8 / 41  # a swell
    likely[300] = 0.1  # hardly anything
    likely[0] = 0.9  # and one with the first frame
    found = bumps(likely)
    assert found.seconds == pytest.approx([0.0, 100.75 * 0.002, 220 * 0.002], abs=1e-4)
    assert found.mass == pytest.approx([0.9, 1.0, 0.8], abs=1e-4)
    assert found.spread[1] < 0.001
    assert found.spread[2] == pytest.approx(0.002 * 41 / 12**0.5, rel=0.05)


@pytest.mark.parametrize("frames", [0, 1, 2, 12])
def test_a_short_sound_has_no_bumps(frames: int) -> None:
    assert len(bumps(np.full(frames, 1e-3, np.float32)).seconds) == 0

"""Random warps: maps of which the exact effect is known."""

import math

import pytest
import torch

from mmcoordgan.geometry import RandomWarps, canonical_grid, sample_image

STILL = dict(angle=0, scale=1, shift=0, stretch=0, bend=0)


def test_nothing_to_draw_is_the_identity():
    warp = RandomWarps(**STILL).draw(2, 9)
    assert torch.allclose(warp, canonical_grid(9, 9).expand(2, -1, -1, -1), atol=1e-6)
    image = torch.rand(2, 3, 9, 9)
    assert torch.allclose(sample_image(image, warp), image, atol=1e-5)


def test_similarities_are_similarities_within_their_range():
    torch.manual_seed(0)
    settings = dict(STILL, angle=20, scale=1.5, shift=0.25)
    warp = RandomWarps(**settings).draw(64, 5).flatten(2)  # (64, 2, 25)
    grid = torch.cat([canonical_grid(5, 5).flatten(1), torch.ones(1, 25)])
    matrix = warp @ torch.linalg.pinv(grid)  # (64, 2, 3), exact for affine warps
    assert torch.allclose(matrix @ grid, warp, atol=1e-5)
    (a, b), (c, d) = matrix[:, 0, :2].T, matrix[:, 1, :2].T
    assert torch.allclose(a, d, atol=1e-5) and torch.allclose(b, -c, atol=1e-5)
    angle, scale = torch.atan2(b, a).rad2deg(), 1 / torch.hypot(a, b)
    assert 15 < angle.abs().max() <= 20
    assert 1.35 < scale.max() <= 1.5 and 1 / 1.5 <= scale.min() < 0.75
    # The centre of the frame is seen at the shift.
    seen = -torch.linalg.solve(matrix[..., :2], matrix[..., 2:])
    assert 0.2 < seen.abs().max() <= 0.25 + 1e-5


def test_sampling_the_grid_gives_the_warp():
    torch.manual_seed(0)
    warp = RandomWarps().draw(4, 32)
    inside = warp.abs().amax(1) < 1
    seen = sample_image(canonical_grid(32, 32).expand(4, -1, -1, -1), warp)
    error = (seen - warp).abs().amax(1)
    assert inside.float().mean() > 0.5
    assert error[inside].max() < 1e-4
    assert error[~inside].max() > 0.1  # mirrored
    assert seen.abs().max() <= 1


def test_bending_is_as_strong_as_said():
    torch.manual_seed(0)
    warps = RandomWarps(**dict(STILL, bend=0.25), control_points=(5,)).draw(400, 5)
    offsets = warps - canonical_grid(5, 5)
    # Two bendings, each with strengths U(.2, 1) * .25 * spacing .5.
    expected = 0.25 * 0.5 * math.sqrt(2 * (0.6**2 + 0.4**2 / 3))
    assert offsets.std() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize('wrong', [dict(scale=0.5), dict(bend=-1), dict(control_points=(1, 4))])
def test_bad_arguments(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RandomWarps(**wrong)

"""Features averaged in the frame, and maps that are moved to agree with them."""

from types import SimpleNamespace

import pytest
import torch

from mmcoordgan.geometry import canonical_grid
from mmcoordgan.models.losses import EquivarianceLoss, LossTerms, equivariance, feature_template
from mmcoordgan.models.losses.feature_template import FeatureTemplate
from mmcoordgan.models.networks import Encoding

GRID = canonical_grid(16, 16)
SMALL = dict(channels=7, layers=(0, 1), image_size=32, dims=4, strength=3.0, spread=0.1)


class Perceptual:
    """Features that are smooth in the frame, of images whose first channels are their maps."""

    def features(self, images: torch.Tensor) -> list[torch.Tensor]:
        x, y, other = images.unbind(1)
        x = x + y  # slopes along x and y are not orthogonal
        waves = [(3 * x).sin(), (3 * x).cos(), (3 * y).sin(), (3 * y).cos()]
        return [torch.stack(waves, 1), torch.stack([other, 2 * other, -other], 1)]


def image_of(coords: torch.Tensor) -> torch.Tensor:
    """What differs in any image is no feature of a place."""
    return torch.cat([coords, torch.randn(len(coords), 1, 1, 1).expand(-1, -1, 16, 16)], 1)


def shifted(*shifts: tuple[float, float]) -> torch.Tensor:
    return torch.stack([GRID + torch.tensor(s).view(2, 1, 1) for s in shifts])


def taught_template() -> FeatureTemplate:
    template = FeatureTemplate(**SMALL)
    for _ in range(40):
        coords = GRID + 0.2 * torch.randn(8, 2, 1, 1)
        template.update(template.features(Perceptual(), image_of(coords)), coords)
    template.fit()
    return template


def test_sums_against_a_loop(monkeypatch):
    monkeypatch.setattr(feature_template, 'GRID', 4)
    template = FeatureTemplate(channels=2, dims=1, cells=5)
    features = torch.rand(3, 2, 4, 4)
    coords = 0.7 * torch.randn(3, 2, 4, 4)
    for image in range(3):
        one = slice(image, image + 1)
        template.update(features[one], coords[one], weight=1 / (image + 1))
    expected = torch.zeros(3, 5, 5)
    for image in range(3):
        for row in (0, 2):
            for column in (0, 2):
                # In cells, from the center of the first; what lies outside counts at the edge.
                place = ((coords[image, :, row, column] + 1) * 2.5 - 0.5).clamp(0, 4)
                for cell_y in range(5):
                    for cell_x in range(5):
                        far = (place - torch.tensor([cell_x, cell_y])).abs()
                        weight = (1 - far).clamp(min=0).prod()
                        expected[:2, cell_y, cell_x] += weight * features[image, :, row, column]
                        expected[2, cell_y, cell_x] += weight
    assert torch.allclose(3 * template.sums, expected, atol=1e-5)


def test_directions_are_white_and_tell_places_apart():
    template = taught_template()
    # The features of layer 1 differ between images alone.
    assert template.projection[:, 4:].abs().max() < 0.05 * template.projection[:, :4].abs().max()
    within = template.within + 0.05 * template.within.diagonal().mean() * torch.eye(7)
    white = template.projection @ within @ template.projection.t()
    assert torch.allclose(white, torch.eye(4), atol=1e-4)


def test_maps_are_moved_to_where_the_features_belong():
    template = taught_template()
    truth = shifted((0.1, 0.0), (-0.1, 0.05), (0.0, 0.0))
    wrong = truth + torch.tensor([0.08, -0.06]).view(2, 1, 1)
    features = template.features(Perceptual(), image_of(truth))
    centre = (..., slice(4, 12), slice(4, 12))
    moved = template.moved(features, wrong)
    assert (moved - truth)[centre].norm(dim=1).max() < 0.02  # it was 0.1
    assert (template.moved(features, truth) - truth)[centre].norm(dim=1).max() < 0.01
    template.movement['focus'] = 0.3
    focused = template.moved(features, wrong)
    far = wrong.norm(dim=1, keepdim=True).expand_as(wrong) > 1.1
    assert (focused - wrong)[far].abs().max() < 0.01 < (moved - wrong)[far].abs().mean()
    assert (focused - truth)[..., 7:9, 7:9].norm(dim=1).max() < 0.02
    template.movement['strength'] = 0.0
    assert torch.allclose(template.moved(features, wrong), wrong, atol=1e-6)


@pytest.mark.parametrize('aligned', [70, 90])
def test_what_is_taught_follows_the_images(monkeypatch, aligned):
    """Images are shifted; the canonical grid, and a teacher that knows nothing else, are moved."""
    monkeypatch.setattr(equivariance, 'OBSERVED', 60)
    monkeypatch.setattr(equivariance, 'FITTED', 20)
    loss = EquivarianceLoss(on='real', aligned=aligned, template=dict(SMALL, strength=30.0))
    grid = GRID.expand(8, -1, -1, -1)
    asked = []
    for iteration in range(80):
        shift = 0.1 * torch.randn(8, 2, 1, 1)
        view = SimpleNamespace(
            real=image_of(GRID + shift),
            iteration=iteration,
            teach=lambda x: asked.append(x) or grid,
            perceptual=Perceptual(),
        )
        taught = loss._taught(view)
        if iteration < 60:
            assert torch.equal(taught, grid)
    found = (taught - grid)[..., 6:10, 6:10].mean((2, 3))
    assert torch.corrcoef(torch.stack([found.flatten(), shift.flatten()]))[0, 1] > 0.95
    assert len(asked) == max(0, 80 - aligned)


def test_what_it_needs():
    with pytest.raises(ValueError, match='template needs aligned > 0'):
        EquivarianceLoss(template={})
    term = dict(type='EquivarianceLoss', aligned=1, template={})
    with pytest.raises(ValueError, match='equivariance needs the network perceptual'):
        LossTerms(dict(equivariance=term), ('encoder',), ('teacher',))


def test_each_image_is_warped_as_often_as_asked():
    seen = []

    def encoder(images: torch.Tensor) -> Encoding:
        seen.append(images)
        return Encoding(None, images[:, :1], images[:, :2])

    view = SimpleNamespace(real=image_of(shifted((0, 0), (0.1, 0))), iteration=0, generator=None)
    view.encoder, loss = encoder, EquivarianceLoss(on='real', aligned=5, views=3)
    loss(view)
    assert len(seen[0]) == 6 and not torch.equal(seen[0][0], seen[0][2])

"""tools/analysis_tools/inspect_generator.py: figures of a checkpoint, and clear errors."""

import inspect_generator as tool
import numpy as np
import pytest
import torch
from torch import nn

from mmcoordgan.apis import load_trained
from mmcoordgan.models.losses import StructureTensorLoss
from mmcoordgan.models.networks import CoordGANGenerator

TOOL = 'analysis_tools/inspect_generator.py'


@pytest.fixture
def generator() -> CoordGANGenerator:
    """With weights for which no figure is 0 or 1."""
    torch.manual_seed(2)
    sizes = dict(image_size=16, base_resolution=8, structure_dim=4, texture_dim=3, channels=8)
    mapping = dict(mapping_layers=1, mapping_lr_multiplier=1)
    network = CoordGANGenerator(**sizes, **mapping, warp_channels=8, warp_residual=True)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5)
    return network.eval()


@torch.no_grad()
def one_by_one(generator: CoordGANGenerator, samples: int, seed: int) -> dict[str, float]:
    """The figures from their definitions, an image or pixel at a time."""
    source = torch.Generator().manual_seed(seed)
    structures = torch.randn(samples, 4, generator=source).split(1)
    textures = torch.randn(samples, 3, generator=source).split(1)
    distance = StructureTensorLoss()
    same, other, folds = [], [], []
    for index in range(samples):  # the one before the first is the last
        picture = generator(structures[index], textures[index])
        same.append(float(distance(picture, generator(structures[index], textures[index - 1]))))
        other.append(float(distance(picture, generator(structures[index - 1], textures[index]))))
    maps = np.stack([generator.warp(generator.map_structure(z))[0].numpy() for z in structures])
    for x, y in maps.astype(float):
        for row, column in np.ndindex(7, 7):
            right = np.array([v[row, column + 1] - v[row, column] for v in (x, y)])
            down = np.array([v[row + 1, column] - v[row, column] for v in (x, y)])
            folds.append(np.linalg.det([right, down]) <= 0)
    return {
        'same structure': np.mean(same),
        'other structure': np.mean(other),
        'AUC': np.mean([a < b for a in same for b in other]),
        'spread of maps': maps.std(axis=0, ddof=1).mean(),
        'folded pixels': np.mean(folds),
    }


@pytest.mark.parametrize('samples', [2, 8, 19])  # within a chunk, a whole one, beyond
def test_figures_are_those_of_single_images(generator, samples):
    expected = one_by_one(generator, samples, seed=3)
    assert samples == 2 or all(0.01 < value < 0.99 for value in expected.values()), expected
    assert tool.figures(generator, samples, 3) == pytest.approx(expected, rel=1e-4)


def test_checkpoints_beside_the_baseline(untrained, run_tool, capsys):
    content = torch.load(untrained['toyfaces_32'], weights_only=True)
    for name, values in content['state_dict'].items():
        if 'generator_ema' in name and values.is_floating_point():
            values.mul_(1.5)
    torch.save(content, 'other.pth')
    run_tool(TOOL, 'other.pth', '--samples', 4)
    lines = [line.split()[-2:] for line in capsys.readouterr().out.splitlines()[2:]]
    for path, found in zip((untrained['toyfaces_32'], 'other.pth'), np.float64(lines).T):
        expected = tool.figures(load_trained(path).generator, 4, 0)
        assert found.tolist() == pytest.approx(list(expected.values()), abs=1e-4)

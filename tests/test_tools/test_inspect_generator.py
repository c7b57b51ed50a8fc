"""tools/analysis_tools/inspect_generator.py: figures of a checkpoint, and clear errors."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mmcoordgan.apis import load_trained
from mmcoordgan.geometry import canonical_grid
from mmcoordgan.models.losses import StructureTensorLoss
from mmcoordgan.models.networks import CoordGANGenerator

ROOT = Path(__file__).parents[2]
TOOL = 'analysis_tools/inspect_generator.py'
tool = runpy.run_path(str(ROOT / 'tools' / TOOL))


@pytest.fixture
def generator() -> CoordGANGenerator:
    """A very small one, with weights for which no figure is 0 or 1."""
    torch.manual_seed(2)
    network = CoordGANGenerator(
        image_size=16,
        base_resolution=8,
        structure_dim=4,
        texture_dim=3,
        mapping_layers=1,
        mapping_lr_multiplier=1,
        channels=8,
        warp_channels=8,
        warp_residual=True,
    )
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5)
    return network.eval()


@torch.no_grad()
def one_by_one(generator: CoordGANGenerator, samples: int, seed: int) -> dict[str, float]:
    """The figures from their definitions, a picture or pixel at a time."""
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
def test_figures_are_those_of_single_pictures(generator, samples):
    expected = one_by_one(generator, samples, seed=3)
    assert samples == 2 or all(0.01 < value < 0.99 for value in expected.values()), expected
    assert tool['figures'](generator, samples, 3) == pytest.approx(expected, rel=1e-4)


class Drawing(nn.Module):
    """Stripes: the structure says which way they run and mirrors maps, the texture recolours."""

    structure_dim, texture_dim = 1, 1
    map_structure = map_texture = nn.Identity()

    def __init__(self, ignores: str):
        super().__init__()
        self.ignores = ignores
        self.weight = nn.Parameter(torch.ones(1))

    def warp(self, structure_w: Tensor) -> Tensor:
        grid = canonical_grid(16, 16)
        mirrored = torch.stack([-grid[0], grid[1]])
        return torch.stack([mirrored if w > 0 else grid for w in structure_w])

    def synthesize(self, coords: Tensor, texture_w: Tensor) -> Tensor:
        code = texture_w[:, 0] if self.ignores == 'structure' else coords[:, 0, 0, 0]
        stripes = torch.sin(9 * canonical_grid(16, 16))
        return torch.stack([stripes[int(c > 0)].expand(3, 16, 16) for c in code])


@pytest.mark.parametrize('ignores', ['texture', 'structure'])
def test_figures_of_known_generators(ignores):
    found = tool['figures'](Drawing(ignores), 20, 0)
    source = torch.Generator().manual_seed(0)
    structures, textures = ((torch.randn(20, generator=source) > 0).tolist() for _ in range(2))
    share = sum(structures) / 20
    assert found['folded pixels'] == pytest.approx(share) and 0 < share < 1
    codes = structures if ignores == 'texture' else textures
    unlike = sum(codes[index] != codes[index - 1] for index in range(20)) / 20
    zero, some = ('same', 'other') if ignores == 'texture' else ('other', 'same')
    assert found[f'{zero} structure'] == 0 and found[f'{some} structure'] > 0.1 * unlike > 0
    assert found['AUC'] == pytest.approx(0.5 + (unlike if ignores == 'texture' else -unlike) / 2)


def columns(printed: str) -> tuple[list[float], ...]:
    lines = printed.splitlines()[2:]
    return tuple([float(line.split()[place]) for line in lines] for place in (-2, -1))


def test_checkpoints_beside_the_baseline(untrained, run_tool, capsys):
    run_tool(TOOL, untrained['toyfaces_32'], '--samples', 4)
    baseline, same = columns(capsys.readouterr().out)
    assert len(baseline) == 5 and same == baseline

    content = torch.load(untrained['toyfaces_32'], weights_only=True)
    for name, values in content['state_dict'].items():
        if 'generator_ema' in name and values.is_floating_point():
            values.mul_(1.5)
    torch.save(content, 'other.pth')
    run_tool(TOOL, 'other.pth', '--samples', 4)
    untouched, other = columns(capsys.readouterr().out)
    expected = tool['figures'](load_trained('other.pth').generator, 4, 0)
    assert untouched == baseline != other
    assert other == pytest.approx(list(expected.values()), abs=1e-4)


def test_errors(untrained, tmp_path, run_tool, capsys):
    torch.save({'state_dict': {'encoder.weight': torch.zeros(1)}}, tmp_path / 'bare.pth')
    for arguments, message in (
        (['none.pth'], 'none.pth does not exist'),
        (['bare.pth'], 'bare.pth cannot be used: it does not hold its config'),
        ([untrained['toyfaces_32'], '--samples', 1], '--samples must be at least 2, but is 1'),
        ([untrained['toyfaces_32'], '--device', 'xpu:99'], 'device xpu:99 is not available here'),
    ):
        with pytest.raises(SystemExit) as end:
            run_tool(TOOL, *arguments)
        assert end.value.code == 2
        assert message in capsys.readouterr().err

"""tools/analysis_tools/compare_transfer.py: methods side by side, and clear errors."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transfer_methods
from PIL import Image

from mmcoordgan.datasets import ToyFaces
from mmcoordgan.geometry import canonical_grid

ROOT = Path(__file__).parents[2]
TOOL = 'analysis_tools/compare_transfer.py'
FEW = ('--toyfaces', '--positions', '0:8', '--no-registration')


class MeanColors(torch.nn.Module):
    """Tokens: one of another kind, then the mean colours of patches."""

    def forward(self, pixels):
        colors = F.avg_pool2d(pixels, 14).flatten(2).mT
        return torch.cat([torch.full((1, 1, 3), 9.0), colors], dim=1)


@pytest.fixture
def dinov2(tmp_path: Path) -> Path:
    pytest.importorskip('onnxscript')
    pixels, path = torch.zeros(1, 3, 448, 448), tmp_path / 'patches.onnx'
    torch.onnx.export(MeanColors(), (pixels,), path, dynamo=True, verbose=False)
    return path


def test_table_of_toy_faces(run_tool, untrained, capsys):
    model = untrained['toyfaces_32_encoder']
    run_tool(TOOL, *FEW, '--jitter', '--model', model, '--refine', '--out', 'all.json')
    table = capsys.readouterr().out.splitlines()
    names = [line.split('|')[1].strip() for line in table]
    assert names == ['toyfaces', '---', 'copying', model.name, f'{model.name}, refined']
    assert table[0].count('jittered') == 4
    found = json.loads(Path('all.json').read_text())['results']['toyfaces']
    for condition in ('aligned', 'jittered'):
        copied = found[condition]['copying']
        # Copying is what the metrics call identity, measured by its own maps.
        for name in ('iou', 'error', 'pck@0.1'):
            assert copied[name] == pytest.approx(copied[f'identity_{name}'], abs=1e-5)
        assert found[condition][model.name]['seconds'] > 0
    assert found['aligned']['copying']['iou'] != found['jittered']['copying']['iou']


def test_photographs(run_tool, capsys, tmp_path):
    """Labels of CelebAMask-HQ and 68 points, of images that are all the same."""
    face = ToyFaces(size=32, length=1).get_data_info(0)
    for folder in ('faces/CelebA-HQ-img', 'faces/labels7', 'points/images'):
        (tmp_path / folder).mkdir(parents=True)
    names = [f'{number}.png' for number in range(7)]
    for name in names:
        Image.fromarray(face['img']).save(tmp_path / 'faces/CelebA-HQ-img' / name)
        Image.fromarray(face['img']).save(tmp_path / 'points/images' / name)
        Image.fromarray(face['gt_seg_map'] % 7).save(tmp_path / 'faces/labels7' / name)
    points = np.random.default_rng(0).uniform(4, 28, (7, 68, 2))
    points[:] = points[0]
    np.savez(tmp_path / 'points/landmarks.npz', names=np.array(names), points=points)
    few = ('--positions', '0:7', '--size', 32, '--no-registration', '--out', 'all.json')
    run_tool(TOOL, '--celebamask', 'faces', '--landmarks', 'points', *few)
    found = json.loads(Path('all.json').read_text())['results']
    assert found['celebamask']['aligned']['copying']['iou'] == pytest.approx(100)
    assert found['landmarks']['aligned']['copying']['pck@0.1'] == 100
    assert '| landmarks | NME | PCK@.1 | CPU-s/image |' in capsys.readouterr().out


def test_registration_undoes_a_shift():
    pytest.importorskip('SimpleITK')
    image = ToyFaces(size=64, length=1).get_data_info(0)['img']
    moved = np.roll(image, 4, axis=1)
    method = transfer_methods.Registration(64)
    method.read_references([image])
    expected = canonical_grid(64, 64) - torch.tensor([2 * 4 / 63, 0]).view(2, 1, 1)
    error = method.read_query(moved)['coords'][0] - expected
    assert error[:, 16:-16, 16:-16].abs().mean() < 1 / 63  # half a pixel


def test_dinov2_looks_at_nearest_neighbors(dinov2):
    method = transfer_methods.DINOv2(32, str(dinov2))
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    maps = method.read_references([image, image[:, ::-1].copy()])
    assert maps.shape == (2, 2, 32, 32)
    found = method.read_query(image)
    grid = canonical_grid(32, 32)
    for key in ('coords', 'point_coords'):
        assert torch.equal(found[key][0], grid)
        assert torch.equal(found[key][1], grid.flip(2))
    blank = method.read_query(np.full_like(image, 200))['point_coords'][0]
    assert (blank.abs() < 2).all(0).sum() == 1  # one mutual pair; all others are out of reach


def test_what_is_refused(refused, dinov2, monkeypatch):
    assert 'no data' in refused(TOOL)
    few = refused(TOOL, '--toyfaces', '--positions', '0:5')
    assert 'must name more than 5 different images' in few
    assert '--dinov2: there is no file x' in refused(TOOL, '--toyfaces', '--dinov2', 'x')
    assert 'invalid read_positions value' in refused(TOOL, '--toyfaces', '--positions', 'some')
    monkeypatch.setitem(sys.modules, 'SimpleITK', None)
    assert "pip install 'mmcoordgan[rivals]'" in refused(TOOL, '--toyfaces', code=1)

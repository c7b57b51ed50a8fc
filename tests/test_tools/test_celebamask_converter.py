import os
from pathlib import Path

import celebamask_hq as tool
import numpy as np
import pytest
from PIL import Image

from mmcoordgan.datasets import CelebAMaskHQ


@pytest.fixture
def root(tmp_path) -> Path:
    """Six images whose parts overlap at random; image 2 lacks some parts."""
    rng = np.random.default_rng(0)
    (tmp_path / 'CelebA-HQ-img').mkdir()
    masks = tmp_path / 'CelebAMask-HQ-mask-anno' / '0'
    masks.mkdir(parents=True)
    for number in range(6):
        Image.new('RGB', (16, 16)).save(tmp_path / 'CelebA-HQ-img' / f'{number}.jpg')
        for part in ('skin', 'l_eye', 'r_eye', 'nose', 'mouth', 'u_lip', 'l_lip', 'hair', 'hat'):
            if number == 2 and part in ('nose', 'hair'):
                continue
            mask = (rng.random((16, 16)) < 0.4).astype(np.uint8) * 255
            Image.fromarray(np.stack([mask] * 3, -1)).save(masks / f'{number:05d}_{part}.png')
    return tmp_path


@pytest.mark.parametrize('num_classes', [7, 19])
def test_packed_labels_equal_the_painted_ones(root, num_classes, capsys):
    assert tool.main([str(root), f'--num-classes={num_classes}']) == 0
    folder = f'CelebAMask-HQ-labels-{num_classes}'
    painted = CelebAMaskHQ(data_root=str(root), num_classes=num_classes)
    packed = CelebAMaskHQ(data_root=str(root), num_classes=num_classes, label_dir=folder)
    for index in range(6):
        expected = painted.get_data_info(index)['gt_seg_map']
        np.testing.assert_array_equal(packed.get_data_info(index)['gt_seg_map'], expected)
        assert len(np.unique(expected)) > 3
    assert '6 packed into' in capsys.readouterr().out


def test_it_goes_on_where_it_stopped(root, capsys):
    out = root / 'out'
    arguments = [str(root), f'--out-dir={out}']
    tool.main(arguments)
    (out / '3.png').unlink()
    (out / '3.png.killed.part').write_bytes(b'half a file')
    kept = {path: path.stat().st_mtime_ns for path in out.glob('*.png')}
    capsys.readouterr()
    assert tool.main(arguments) == 0
    printed = capsys.readouterr().out
    assert '6 images, 5 packed before' in printed and '1 packed into' in printed
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert sorted(os.listdir(out)) == [f'{number}.png' for number in range(6)]


def test_differences_are_found(root, monkeypatch, capsys):
    monkeypatch.setattr(tool, 'read_packed_labels', lambda *_: np.zeros((16, 16), np.uint8))
    assert tool.main([str(root)]) == 1
    assert 'image 4: the packed labels differ from the masks' in capsys.readouterr().out
    assert os.listdir(root / 'CelebAMask-HQ-labels-7') == []


def test_failures_are_named_and_the_rest_is_packed(root, capsys):
    for mask in (root / 'CelebAMask-HQ-mask-anno' / '0').glob('00001_*'):
        mask.unlink()
    (root / 'CelebAMask-HQ-mask-anno' / '0' / '00004_skin.png').write_bytes(b'nonsense')
    assert tool.main([str(root)]) == 1
    printed = capsys.readouterr().out
    assert 'image 1 has no mask at all' in printed
    assert '00004_skin.png' in printed
    assert '4 packed into' in printed and '2 failed' in printed

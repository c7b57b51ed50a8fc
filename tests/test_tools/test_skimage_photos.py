"""skimage_photos.py: cuts, and settings for which there are none."""

import os
import sys
import types

import numpy as np
import pytest
from PIL import Image

TOOL = 'dataset_converters/skimage_photos.py'


@pytest.fixture(autouse=True)
def photos(monkeypatch) -> np.ndarray:
    """A stand-in for scikit-image, whose photographs all are (20, 30, 3)."""
    photo = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    names = ('astronaut', 'chelsea', 'coffee', 'rocket', 'retina', 'hubble_deep_field')
    package = types.ModuleType('skimage')
    package.data = types.SimpleNamespace(**{name: lambda: photo for name in names})
    monkeypatch.setitem(sys.modules, 'skimage', package)
    return photo


def test_cuts(run_tool, photos, capsys):
    run_tool(TOOL, 'out', '--side', 16, '--stride', 4)
    assert capsys.readouterr().out == '48 images in out\n'  # 2 x 4 of each
    assert len(os.listdir('out')) == 48
    cut = np.asarray(Image.open('out/rocket_05.png'))
    np.testing.assert_array_equal(cut, photos[4:20, 4:20])
    run_tool(TOOL, 'large', '--side', 20, '--stride', 100, '--enlarge', 40)
    assert capsys.readouterr().out == '6 images in large\n'
    assert Image.open('large/retina_00.jpg').size == (40, 40)

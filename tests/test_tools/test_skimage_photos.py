import os
import sys
import types

import numpy as np
from PIL import Image
from skimage_photos import PHOTOS

TOOL = 'dataset_converters/skimage_photos.py'


def test_cuts(run_tool, monkeypatch, capsys):
    """Of a stand-in for scikit-image, whose photographs all are (20, 30, 3)."""
    photo = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    data = types.SimpleNamespace(**dict.fromkeys(PHOTOS, lambda: photo))
    monkeypatch.setitem(sys.modules, 'skimage', types.SimpleNamespace(data=data))
    run_tool(TOOL, 'out', '--side', 16, '--stride', 4)
    assert capsys.readouterr().out == '48 images in out\n'  # 2 x 4 of each
    assert len(os.listdir('out')) == 48
    np.testing.assert_array_equal(np.asarray(Image.open('out/rocket_05.png')), photo[4:20, 4:20])

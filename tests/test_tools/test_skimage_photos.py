"""tools/dataset_converters/skimage_photos.py: cuts of photographs, and clear errors."""

from __future__ import annotations

import sys
import types
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PHOTO = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


@pytest.fixture
def run(run_tool, monkeypatch):
    """The tool, on one small picture in place of scikit-image's."""
    monkeypatch.setitem(sys.modules, 'skimage', types.SimpleNamespace(data=Photos()))
    return partial(run_tool, 'dataset_converters/skimage_photos.py')


class Photos:
    def __getattr__(self, name: str):
        return lambda: PHOTO


def test_cuts(run, capsys):
    run('out', '--side', 16, '--stride', 8)
    found = sorted(path for path in Path('out').iterdir() if path.name.endswith('_01.png'))
    assert f'{2 * len(found)} pictures of 16 x 16 in out' in capsys.readouterr().out
    assert np.array_equal(np.array(Image.open(found[0])), PHOTO[:16, 8:24])
    run('large', '--side', 16, '--stride', 8, '--enlarge', 32)
    assert f'{2 * len(found)} pictures of 32 x 32 in large' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--side', 4000], 'no photograph has 4000 pixels a side: give a smaller --side'),
        (['--stride', 0], '--side, --stride and --enlarge must be at least 1'),
        (['--side', 16, '--enlarge', 0], '--side, --stride and --enlarge must be at least 1'),
    ],
)
def test_errors(run, options, message, capsys):
    with pytest.raises(SystemExit) as end:
        run('out', *options)
    assert end.value.code == 2 and message in capsys.readouterr().err

"""The tool on files, with tiny networks of both stages."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image
from tiny_inversion import PALETTE, labels, pictures

from mmcoordgan.datasets.label_files import label_image

TOOL = Path(__file__).parents[2] / 'tools' / 'infer.py'


@pytest.fixture
def infer(monkeypatch, capsys):
    """Run the tool; returns the exit code and standard error."""

    def run(*arguments: object) -> tuple[int, str]:
        argv = ['infer.py', *map(str, arguments), '--quiet', '--device', 'cpu']
        monkeypatch.setattr(sys, 'argv', argv)
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(TOOL), run_name='__main__')
        return int(end.value.code or 0), capsys.readouterr().err

    return run


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Images faces/a.png, faces/b.jpg, faces/sub/c.png, and a reference with its mask."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'faces' / 'sub').mkdir(parents=True)
    for name, image in zip(('a.png', 'sub/c.png'), pictures(2)):
        Image.fromarray(image).save(tmp_path / 'faces' / name)
    Image.fromarray(pictures(1, 20, 30, seed=5)[0]).save(tmp_path / 'faces' / 'b.jpg')
    Image.fromarray(pictures(1, 24, 40, seed=9)[0]).save(tmp_path / 'one.png')
    label_image(labels(1, 24, 40)[0], PALETTE).save(tmp_path / 'mask.png')
    (tmp_path / 'p.csv').write_text('label,x,y\nnose,10.5,12\n=mouth,3,4\n')
    return tmp_path

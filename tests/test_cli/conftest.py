"""The tool on files, with tiny networks of both stages."""

from pathlib import Path

import pytest
from PIL import Image
from tiny_inversion import PALETTE, labels, pictures

from mmcoordgan.datasets.label_files import label_image


@pytest.fixture
def infer(run_tool, capsys):
    """Run the tool; returns the exit code and standard error."""

    def run(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as end:
            run_tool('infer.py', *arguments, '--quiet', '--device', 'cpu')
        return int(end.value.code or 0), capsys.readouterr().err

    return run


@pytest.fixture
def folder(tmp_path, elsewhere) -> Path:
    """Images faces/a.png, faces/b.jpg, faces/sub/c.png, and a reference with its mask."""
    (tmp_path / 'faces' / 'sub').mkdir(parents=True)
    for name, image in zip(('a.png', 'sub/c.png'), pictures(2)):
        Image.fromarray(image).save(tmp_path / 'faces' / name)
    Image.fromarray(pictures(1, 20, 30, seed=5)[0]).save(tmp_path / 'faces' / 'b.jpg')
    Image.fromarray(pictures(1, 24, 40, seed=9)[0]).save(tmp_path / 'one.png')
    label_image(labels(1, 24, 40)[0], PALETTE).save(tmp_path / 'mask.png')
    (tmp_path / 'p.csv').write_text('label,x,y\nnose,10.5,12\n=mouth,3,4\n')
    return tmp_path

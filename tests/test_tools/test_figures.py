"""tools/analysis_tools/figures.py: which figures, of which images, and clear errors."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mmcoordgan.apis import load_trained
from mmcoordgan.datasets import ToyFaces
from mmcoordgan.datasets.label_files import default_palette
from mmcoordgan.visualization import TransferPicture, arrange_cells, transfer_row

TOOL = 'analysis_tools/figures.py'
FIGURES = (TOOL, '--no-captions')
SIDE = 96


def cell(path: str, row: int, column: int) -> np.ndarray:
    """A cell of a figure, at 32 x 32 again."""
    top, left = 2 + row * (SIDE + 2), 2 + column * (SIDE + 2)
    return np.array(Image.open(path))[top : top + SIDE : 3, left : left + SIDE : 3]


def test_stage_1(run_tool, untrained):
    options = ['--num', 3, '--steps', 4, '--seed', 5]
    run_tool(*FIGURES, untrained['toyfaces_32'], '--out', 'new/figures', *options)
    shapes = dict(texture_swap=(4, 4), correspondence_maps=(4, 4))
    shapes.update(structure_interpolation=(4, 4), texture_interpolation=(4, 2))
    sizes = {path.stem: Image.open(path).size for path in Path('new/figures').iterdir()}
    assert sizes == {name: (2 + 98 * w, 2 + 98 * h) for name, (w, h) in shapes.items()}
    # The images are the samples of these seeds, and the matrix has them on its diagonal.
    generator = load_trained(untrained['toyfaces_32']).generator
    for i in range(3):
        source = torch.Generator().manual_seed(5 + i)
        structure_z = torch.randn(2, generator.structure_dim, generator=source)[:1]
        texture_z = torch.randn(2, generator.texture_dim, generator=source)[:1]
        expected = (generator(structure_z, texture_z)[0] + 1) * 127.5
        image = expected.clamp(0, 255).permute(1, 2, 0).numpy()
        for row, column in ((0, i + 1), (i + 1, 0), (i + 1, i + 1)):
            assert np.abs(cell('new/figures/texture_swap.png', row, column) - image).max() < 1


def check_transfer(path: str, checkpoint: Path, images, labels, palette) -> None:
    """Against rows of the known labels; the reference is the first."""
    inputs = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 127.5 - 1
    coords = load_trained(checkpoint).invert(inputs).coords
    one_hot = [torch.eye(9)[torch.from_numpy(x).long()].permute(2, 0, 1) for x in labels]
    one_hot += [None] * (len(images) - len(labels))
    shown = [TransferPicture(*fields) for fields in zip(images, coords, one_hot)]
    rows = [transfer_row(shown[0], query, palette, 0.02) for query in shown[1:]]
    difference = np.abs(np.array(Image.open(path)).astype(int) - arrange_cells(rows))
    assert (difference > 1).mean() < 0.002  # labels that are equally strong


def test_label_transfer(run_tool, untrained):
    """Of toy faces; and of files, in the mask's own colours or those of transfer-labels."""
    checkpoint = untrained['toyfaces_32_encoder']
    faces = ToyFaces(size=32, length=3, seed=7)
    samples = [faces.get_data_info(i) for i in range(3)]
    images, labels = ([s[key] for s in samples] for key in ('img', 'gt_seg_map'))
    run_tool(*FIGURES, checkpoint, '--toy-faces', '--num', 3, '--seed', 7, '--out', 'figures')
    assert len(list(Path('figures').iterdir())) == 5
    path = 'figures/label_transfer.png'
    check_transfer(path, checkpoint, images, labels, faces.METAINFO['palette'])
    for number, image in enumerate(images):
        Image.fromarray(image).save(f'{number}.png')
    grey, palette = Image.fromarray(labels[0].astype(np.uint8)), np.arange(768) * 7 % 256
    indexed = grey.copy()
    indexed.putpalette(palette.astype(np.uint8).tobytes())
    for mask, colors in ((grey, default_palette()), (indexed, palette.reshape(256, 3))):
        mask.save('mask.png')
        options = ['--reference', '0.png', 'mask.png', '--only', 'label_transfer', '--force']
        run_tool(*FIGURES, checkpoint, '1.png', *options, '--out', 'figures')
        check_transfer(path, checkpoint, images[:2], labels[:1], colors)


def test_errors(refused, untrained):
    Image.new('RGB', (32, 32)).save('a.png')
    cases = {
        ('--only', 'label_transfer'): 'needs labels: --reference IMAGE MASK, or --toy',
        ('a.png',): 'interpolation needs 2 images and 2 steps, but got 1 and 8',
        ('--num', 0): 'n must be at least 1, but got 0',
        ('a.png', '--toy-faces'): '--toy-faces brings its own images and labels',
    }
    for arguments, message in cases.items():
        error = refused(TOOL, untrained['toyfaces_32_encoder'], *arguments, '--out', 'out')
        assert message in error and not list(Path().glob('out/*'))

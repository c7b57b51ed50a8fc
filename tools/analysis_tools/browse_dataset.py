"""Draw what the data loader of a config gives.

Draws images after the whole pipeline, each beside itself with its labels and points, if any.
"""

from __future__ import annotations

import argparse
import itertools
import os
from typing import Any

import numpy as np
import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, set_random_seed
from PIL import Image

from mmcoordgan.cli.config import CfgOptionsAction, load_config
from mmcoordgan.errors import UserError, explained_errors
from mmcoordgan.visualization import arrange_cells, overlay_labels
from mmcoordgan.visualization.drawings import draw_points


def draw(image: torch.Tensor, sample: Any, palette: Any) -> np.ndarray:
    """Image and, where there is something to draw, image with labels and points; uint8 RGB."""
    drawn = plain = image.permute(1, 2, 0).contiguous().numpy()
    if palette and 'gt_soft_seg' in sample:
        drawn = overlay_labels(plain, sample.gt_soft_seg.data.argmax(0), palette)
    elif palette and 'gt_sem_seg' in sample:
        drawn = overlay_labels(plain, sample.gt_sem_seg.data[0], palette)
    if 'gt_points' in sample:
        drawn = draw_points(drawn, sample.gt_points.numpy() * plain.shape[1::-1] - 0.5)
    return arrange_cells([[plain] if drawn is plain else [plain, drawn]], min_cell=256)


@explained_errors('browse_dataset.py')
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('config', help='config file')
    add('--out', required=True, metavar='DIR', help='folder for the drawings')
    add('--phase', choices=('train', 'val', 'test'), default='train', help='which loader [train]')
    add('-n', '--number', type=int, default=20, help='number of images [20]')
    add('--seed', type=int, default=0, help='of order and augmentation [0]')
    text = 'change values of the config, as train.py does'
    add('--cfg-options', nargs='+', action=CfgOptionsAction, metavar='KEY=VALUE', help=text)
    args = parser.parse_args()
    cfg = load_config(args.config, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmcoordgan'))
    settings = cfg.get(f'{args.phase}_dataloader')
    if settings is None:
        raise UserError(f'{cfg.filename} has no {args.phase}_dataloader')
    settings.update(num_workers=0, persistent_workers=False)
    set_random_seed(args.seed)
    loader = Runner.build_dataloader(settings, seed=args.seed)
    palette = (getattr(loader.dataset, 'metainfo', None) or {}).get('palette')
    os.makedirs(args.out, exist_ok=True)
    pairs = (
        pair
        for batch in loader
        for pair in zip(batch['inputs'], batch.get('data_samples') or itertools.repeat({}))
    )
    count = 0
    for count, pair in enumerate(itertools.islice(pairs, args.number), 1):
        drawn = Image.fromarray(draw(*pair, palette))
        drawn.save(os.path.join(args.out, f'{count - 1:05d}.png'))
    print(f'{count} images are in {args.out}')


if __name__ == '__main__':
    main()

"""What a training config is refused for before anything is built, downloaded or waited for."""

from __future__ import annotations

import sys
from typing import Any

from mmengine.config import Config

from mmcoordgan.datasets import ImageFolder
from mmcoordgan.errors import UserError
from mmcoordgan.models.pairs import check_even_batch
from mmcoordgan.registry import type_name

from .config import hooks
from .launch import has_accelerator
from .outputs import note_skipped

STAGES = ('CoordGAN', 'CoordGANInversion')


def check_training(cfg: Config) -> None:
    """Refuse what cannot work, with what to use instead; warn about what will take too long."""
    stage = type_name(cfg.model.get('type'))
    loop = cfg.train_cfg
    if type_name(loop.get('type')) == 'EpochBasedTrainLoop' or 'max_epochs' in loop:
        raise UserError(
            "train_cfg counts iterations: use dict(type='ResumableTrainLoop', max_iters=...)"
        )
    if stage in STAGES:
        if any(type_name(h.get('type')) == 'CheckpointHook' for h in hooks(cfg)):
            raise UserError(
                '--resume cannot read what CheckpointHook writes: use CoordGANCheckpointHook, '
                'which takes the same arguments'
            )
        check_even_batch(cfg.train_dataloader.get('batch_size', 2))
    _check_folder(cfg.train_dataloader.get('dataset'))
    size = (cfg.model.get('generator') or {}).get('image_size', 0)
    if stage in STAGES and size >= 128 and not has_accelerator():
        print(
            f'note: there is no GPU here, and a training at {size} x {size} pixels takes weeks '
            'without one; configs/coordgan/photos_32.py trains on a CPU',
            file=sys.stderr,
        )


def _check_folder(dataset: Any) -> None:
    """List the images of a folder now, rather than after the weights of VGG16 are downloaded."""
    if isinstance(dataset, dict) and type_name(dataset.get('type')) == 'ImageFolder':
        note_skipped(dataset['data_root'])
        ImageFolder(**{key: dataset[key] for key in ('data_root', 'extensions') if key in dataset})

"""What a training config is refused for before anything is built, downloaded or waited for."""

from __future__ import annotations

import sys

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
    ours = type_name(cfg.model.get('type')) in STAGES
    loop, loader = cfg.train_cfg, cfg.train_dataloader
    used = {type_name(hook.get('type')) for hook in hooks(cfg)}
    if type_name(loop.get('type')) == 'EpochBasedTrainLoop' or 'max_epochs' in loop:
        raise UserError("train_cfg must count iterations: type='ResumableTrainLoop', max_iters=...")
    if 'EarlyStoppingHook' in used and not cfg.get('val_dataloader'):
        raise UserError(
            'EarlyStoppingHook stops a training by its validations, and this one has none: give '
            'val_dataloader, val_cfg and val_evaluator (no --no-validate), or leave out the hook'
        )
    if ours and 'CheckpointHook' in used:
        raise UserError(
            '--resume cannot read what CheckpointHook writes: use CoordGANCheckpointHook, '
            'which takes the same arguments'
        )
    if ours:
        check_even_batch(loader.get('batch_size', 2))
    dataset = loader.get('dataset')
    if isinstance(dataset, dict) and type_name(dataset.get('type')) == 'ImageFolder':
        # List the images now, rather than after the weights of VGG16 are downloaded.
        note_skipped(dataset['data_root'])
        ImageFolder(**{key: dataset[key] for key in ('data_root', 'extensions') if key in dataset})
    size = (cfg.model.get('generator') or {}).get('image_size', 0)
    if ours and size >= 128 and not has_accelerator():
        print(
            f'note: there is no GPU here, and a training at {size} x {size} pixels takes weeks '
            'without one; configs/coordgan/photos_32.py trains on a CPU',
            file=sys.stderr,
        )

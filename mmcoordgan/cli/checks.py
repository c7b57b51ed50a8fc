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
    if cfg.get('compile') and stage == 'CoordGAN':
        raise UserError(
            'compile: PyTorch cannot differentiate a compiled model twice, as R1 does. Leave it out'
        )
    _check_loop(cfg)
    for scheduler in _dicts(cfg.get('param_scheduler')):
        _check_scheduler(scheduler.get('type'))
    if stage in STAGES:
        if any(type_name(h.get('type')) == 'CheckpointHook' for h in hooks(cfg)):
            raise UserError(
                '--resume and test.py cannot read what CheckpointHook writes: use '
                'CoordGANCheckpointHook, which takes the same arguments'
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


def _check_loop(cfg: Config) -> None:
    loop = cfg.train_cfg
    if type_name(loop.get('type')) == 'EpochBasedTrainLoop' or 'max_epochs' in loop:
        raise UserError(
            'train_cfg: training counts iterations, not epochs: use '
            "train_cfg = dict(type='ResumableTrainLoop', max_iters=...)"
        )
    stops = any(type_name(h.get('type')) == 'EarlyStoppingHook' for h in hooks(cfg))
    if stops and cfg.get('val_cfg') is None:
        raise UserError(
            'EarlyStoppingHook never stops a training without validation: set val_dataloader, '
            'val_evaluator and val_cfg, as configs/coordgan/toyfaces_32_encoder.py does'
        )


def _check_scheduler(kind: Any) -> None:
    module = kind.rpartition('.')[0] if isinstance(kind, str) else getattr(kind, '__module__', '')
    if module == 'torch.optim.lr_scheduler':
        raise UserError(
            f"param_scheduler: MMEngine's hooks cannot step {module}.{type_name(kind)}; "
            'docs/configs.md says which schedulers there are'
        )


def _check_folder(dataset: Any) -> None:
    """List the images of a folder now, rather than after the weights of VGG16 are downloaded."""
    if isinstance(dataset, dict) and type_name(dataset.get('type')) == 'ImageFolder':
        note_skipped(dataset['data_root'])
        ImageFolder(**{key: dataset[key] for key in ('data_root', 'extensions') if key in dataset})


def _dicts(value: Any) -> list[dict]:
    """The dicts that have a type, in lists and dicts at any depth."""
    if isinstance(value, dict) and 'type' in value:
        return [value]
    inner = value.values() if isinstance(value, dict) else value or ()
    return [found for part in inner for found in _dicts(part)]

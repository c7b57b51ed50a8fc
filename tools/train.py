"""Train a model from a config file: ``python tools/train.py CONFIG``."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import nullcontext
from pathlib import Path

import torch
from mmengine.config import Config

from mmcoordgan.cli import launch
from mmcoordgan.cli.checks import check_training
from mmcoordgan.cli.config import load_config
from mmcoordgan.errors import UserError, explained_errors
from mmcoordgan.io.work_dir import intact_checkpoint, locked_work_dir
from mmcoordgan.registry import type_name

MIXED = 'mmcoordgan.MixedPrecisionOptimWrapper'
# What launchers call the number of a process, the first of them that is there.
RANKS = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')
SMALL = 64
"""Up to this side of the maps, operations are too short for more than two threads."""
AMP_DTYPES = {'bf16': 'bfloat16', 'fp16': 'float16'}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='train.py',
        description='Train a model.',
        epilog='SIGTERM and Ctrl-C end the training after the current iteration, with a '
        'checkpoint for --resume. Exit codes: 0 done, 1 an error (such as losses that are not '
        'finite, or a full disk), 2 wrong arguments, 143 and 130 interrupted and saved.',
    )
    add = parser.add_argument
    add('config', help='config file')
    add('--work-dir', help='folder for checkpoints, logs and images [work_dirs/<config name>]')
    text = 'continue from this checkpoint; without a value, from the newest intact one, if any'
    add('--resume', nargs='?', const='auto', metavar='CHECKPOINT', help=text)
    text = 'train in mixed precision: bf16 (without a value), or fp16 with scaled losses'
    add('--amp', nargs='?', const='bf16', choices=tuple(AMP_DTYPES), help=text)
    text = "scale the learning rates by the batch size over the config's base_batch_size"
    add('--auto-scale-lr', action='store_true', help=text)
    add('--no-validate', action='store_true', help='leave out the validation of the config')
    launch.add_common_arguments(parser, 'train_cfg.max_iters=100')
    return parser.parse_args(argv)


def use_amp(cfg: Config, precision: str) -> None:
    """Switch every optimizer wrapper to mixed precision, 'bf16' or 'fp16'."""
    wrappers = cfg.optim_wrapper
    single = 'optimizer' in wrappers
    for wrapper in [wrappers] if single else [w for w in wrappers.values() if isinstance(w, dict)]:
        kind = type_name(wrapper.get('type', 'OptimWrapper'))
        if kind not in ('OptimWrapper', type_name(MIXED), 'AmpOptimWrapper'):
            raise UserError(f'--amp cannot replace the optimizer wrapper {kind} of the config')
        wrapper.update(type=MIXED, dtype=AMP_DTYPES[precision])


def limit_threads(cfg: Config) -> None:
    """Compute small models in two threads, unless OMP_NUM_THREADS says how many."""
    generator = cfg.model.get('generator') or {}
    if 'OMP_NUM_THREADS' not in os.environ and generator.get('base_resolution', 128) <= SMALL:
        torch.set_num_threads(min(2, torch.get_num_threads()))


def choose_checkpoint(cfg: Config, resume: str | None, named: bool = False) -> None:
    """Set what the Runner loads (``load_from``), and whether it resumes it or only starts from it.

    ``--resume`` wins over the config. At a terminal, it asks before it starts in a work dir that
    was ``named`` and has no checkpoint. A resumed model needs neither ``pretrained_generator`` nor
    ``stage1_checkpoint``: its checkpoint holds all weights.
    """
    if resume == 'auto' or (resume is None and cfg.get('resume') and not cfg.get('load_from')):
        found, passed_over = intact_checkpoint(cfg.work_dir)
        for reason in passed_over:
            print(f'--resume: {reason}', file=sys.stderr)
        starting = f'no checkpoint in {cfg.work_dir} yet, starting from the beginning'
        print(f'--resume: {f"continuing from {found}" if found else starting}')
        if not found and named and sys.stdin.isatty() and input('Go on? [y/N] ') != 'y':
            raise UserError(f'there is no checkpoint in {cfg.work_dir}: look for the right folder')
        cfg.resume, cfg.load_from = found is not None, found or cfg.get('load_from')
    elif resume is not None:
        cfg.load_from, cfg.resume = resume, True
    elif any(Path(cfg.work_dir).glob('iter_*.pth')):
        print(f'note: {cfg.work_dir} has checkpoints; --resume continues them', file=sys.stderr)
    if cfg.get('load_from') is not None:
        launch.check_checkpoint(cfg.load_from)
    if cfg.get('resume'):
        for key in {'pretrained_generator', 'stage1_checkpoint'} & set(cfg.model):
            cfg.model[key] = None


@explained_errors('train.py', '; --resume continues from the last checkpoint')
def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    launch.forbid_unsafe_loading()
    cfg = load_config(args.config, args.cfg_options, args.work_dir)
    if args.amp:
        use_amp(cfg, args.amp)
    if args.auto_scale_lr:
        if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
            raise UserError(f'--auto-scale-lr: {cfg.filename} has no auto_scale_lr.base_batch_size')
        cfg.auto_scale_lr.enable = True
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    check_training(cfg)
    limit_threads(cfg)
    first = next((os.environ[name] for name in RANKS if name in os.environ), '0') == '0'
    with locked_work_dir(cfg.work_dir) if first else nullcontext():
        if first:
            cfg.dump(os.path.join(cfg.work_dir, os.path.basename(cfg.filename)))
        choose_checkpoint(cfg, args.resume, named=args.work_dir is not None)
        launch.join_processes(cfg, args.launcher, args.local_rank)
        if first:
            print(
                f'Training {cfg.train_cfg.get("max_iters")} iterations; the log says how long '
                f'it will take. Look at {os.path.join(cfg.work_dir, "pictures")} meanwhile. '
                'Ctrl-C saves and ends; the same command with --resume continues.',
                flush=True,
            )
        launch.ToolRunner.from_cfg(cfg).train()
        launch.leave_processes()
        if first:
            print(f'Done. Checkpoints, the log and pictures/ are in {cfg.work_dir}')


if __name__ == '__main__':
    main()

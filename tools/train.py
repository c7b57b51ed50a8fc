"""Train a model from a config file: ``python tools/train.py CONFIG``."""

from __future__ import annotations

import argparse

from mmengine.config import Config
from mmengine.runner import Runner

from mmcoordgan.engine.cfg_options import CfgOptionsAction
from mmcoordgan.engine.launch import (
    LaunchError,
    check_checkpoint,
    explained_errors,
    forbid_unsafe_loading,
    join_processes,
    last_checkpoint,
    leave_processes,
    load_config,
)

MIXED = 'mmcoordgan.MixedPrecisionOptimWrapper'
AMP_DTYPES = {'bf16': 'bfloat16', 'fp16': 'float16'}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='train.py',
        description='Train a model.',
        epilog='SIGTERM and Ctrl-C end the training after the current iteration, with a '
        'checkpoint that --resume goes on from; the exit codes are then 143 and 130. 0: done. '
        '1: an error, among them losses that are not finite and a full disk. 2: wrong arguments.',
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir', help='folder for checkpoints, logs and pictures [work_dirs/<config name>]'
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='continue from this checkpoint; without a value, from the last one in the work dir, '
        'or from the start if there is none yet',
    )
    parser.add_argument(
        '--amp',
        nargs='?',
        const='bf16',
        choices=tuple(AMP_DTYPES),
        help='train in mixed precision: bf16 (without a value), or fp16 with scaled losses',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help="scale the learning rates by the batch size over the config's base_batch_size",
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptionsAction,
        metavar='KEY=VALUE',
        help='change values of the config, such as train_cfg.max_iters=100 or '
        'default_hooks.pictures.interval=50; lists are written [1,2] and tuples "(1,2)", without '
        'spaces; a text with commas needs quotes of its own, KEY=\'"a,b"\'',
    )
    parser.add_argument(
        '--launcher',
        choices=('none', 'pytorch', 'slurm', 'mpi'),
        default='none',
        help='what started this process [none]; see tools/dist_train.sh and slurm_train.sh',
    )
    parser.add_argument(
        '--local_rank', '--local-rank', type=int, default=0, help='set by some launchers'
    )
    return parser.parse_args(argv)


def use_amp(cfg: Config, precision: str) -> None:
    """Switch every optimizer wrapper to mixed precision, 'bf16' or 'fp16'."""
    wrapper = cfg.optim_wrapper
    single = 'optimizer' in wrapper
    wrappers = [wrapper] if single else [w for w in wrapper.values() if isinstance(w, dict)]
    for wrapper in wrappers:
        kind = wrapper.get('type', 'OptimWrapper')
        if kind not in ('OptimWrapper', MIXED, MIXED.split('.')[-1], 'AmpOptimWrapper'):
            raise LaunchError(f'--amp cannot replace the optimizer wrapper {kind} of the config')
        wrapper.update(type=MIXED, dtype=AMP_DTYPES[precision])


def scale_lr(cfg: Config) -> None:
    """Switch on the Runner's scaling of learning rates."""
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise LaunchError(
            f'--auto-scale-lr: {cfg.filename} does not say which batch size its learning rates are '
            'for; add auto_scale_lr=dict(base_batch_size=...) to it'
        )
    cfg.auto_scale_lr.enable = True


def choose_checkpoint(cfg: Config, resume: str | None) -> None:
    """Set what the Runner loads (``load_from``), and whether it resumes it or only starts from it.

    ``--resume`` wins over the config. A resumed model needs neither
    ``pretrained_generator`` nor ``stage1_checkpoint``: its checkpoint holds all weights.
    """
    if resume == 'auto':
        found = last_checkpoint(cfg.work_dir)
        if found is None:
            print(f'--resume: no checkpoint in {cfg.work_dir} yet, starting from the beginning')
            cfg.resume = False
        else:
            cfg.load_from, cfg.resume = found, True
    elif resume is not None:
        cfg.load_from, cfg.resume = resume, True
    elif cfg.get('resume') and cfg.get('load_from') is None:
        cfg.load_from = last_checkpoint(cfg.work_dir)
        cfg.resume = cfg.load_from is not None
    if cfg.get('load_from') is not None:
        check_checkpoint(cfg.load_from)
    if cfg.get('resume'):
        stored_config = dict(type='mmcoordgan.StoredConfigHook')
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), stored_config]
        for key in ('pretrained_generator', 'stage1_checkpoint'):
            if cfg.model.get(key) is not None:
                cfg.model[key] = None


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with explained_errors('train.py'):
        forbid_unsafe_loading()
        cfg = load_config(args.config, args.cfg_options, args.work_dir)
        if args.amp:
            use_amp(cfg, args.amp)
        if args.auto_scale_lr:
            scale_lr(cfg)
        choose_checkpoint(cfg, args.resume)
        join_processes(cfg, args.launcher, args.local_rank)
        Runner.from_cfg(cfg).train()
        leave_processes()


if __name__ == '__main__':
    main()

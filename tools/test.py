"""Test a checkpoint: ``python tools/test.py CONFIG CHECKPOINT``."""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from mmcoordgan.apis.checkpoint import find_checkpoint
from mmcoordgan.cli import launch
from mmcoordgan.cli.checks import STAGES
from mmcoordgan.cli.config import hooks, load_config
from mmcoordgan.cli.outputs import check_file
from mmcoordgan.errors import UserError, explained, explained_errors
from mmcoordgan.io.files import atomic_file
from mmcoordgan.registry import type_name
from mmcoordgan.utils.progress import patient_progress


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='test.py', description='Test a checkpoint.')
    add = parser.add_argument
    add('config', help='config file')
    add('checkpoint', help='checkpoint file, its work dir, or a bundled model')
    add('--work-dir', help='folder for logs and images [work_dirs/<config name>]')
    text = 'write metrics (FILE.json; null: not finite) or correspondence maps (FILE.npz)'
    add('--out', metavar='FILE', help=text)
    text = 'folder for drawn transfers [<work dir>/pictures/transfer, if the config draws]'
    add('--show-dir', metavar='DIR', help=text)
    add('--amp', action='store_true', help='half precision (test_cfg.fp16=True)')
    launch.add_common_arguments(parser, 'test_evaluator.0.temperature=0.02')
    return parser.parse_args(argv)


def choose_checkpoint(cfg: Config, checkpoint: str) -> None:
    """Set what the Runner loads. The files that training starts from are not needed any more."""
    if '://' not in checkpoint:
        with explained():
            checkpoint = find_checkpoint(checkpoint)
    launch.check_checkpoint(checkpoint)
    cfg.load_from, cfg.resume = checkpoint, False
    for key in [key for key in cfg.model if str(key).startswith('pretrained')]:
        cfg.model[key] = None
    if type_name(cfg.model.get('type')) in STAGES and not cfg.model.get('refinement'):
        cfg.model.losses, cfg.model.perceptual = {}, None  # VGG16's weights need not be there


def drop_refined(cfg: Config) -> None:
    """Leave out the metrics of refined maps where the config switches refinement off."""
    refines = (cfg.model.get('refinement') or {}).get('steps')
    if refines or type_name(cfg.model.get('type')) != 'CoordGANInversion':
        return
    every = metrics_of(cfg)
    cfg.test_evaluator = [m for m in every if 'refined_' not in m.get('coords_key', '')]
    if len(cfg.test_evaluator) < len(every):
        print('refinement is off: its metrics are left out', file=sys.stderr)


def draw_into(cfg: Config, folder: str) -> None:
    """Let the config's ``TransferVisualizationHook`` draw into ``folder``; add one if need be."""
    if type_name(cfg.model.get('type')) == 'CoordGAN':
        raise UserError(
            '--show-dir draws transfers between images, which need an encoder (stage 2); '
            f'{cfg.filename} is one of stage 1'
        )
    for hook in hooks(cfg):
        if type_name(hook.get('type')) == 'TransferVisualizationHook':
            hook.out_dir = folder
            return
    transfers = (m for m in metrics_of(cfg) if type_name(m.get('type')) == 'SegTransferIoU')
    shared = ('num_references', 'mode', 'temperature', 'reference_size', 'coords_key')
    settings = {key: value for key, value in next(transfers, {}).items() if key in shared}
    add_hook(cfg, type='mmcoordgan.TransferVisualizationHook', out_dir=folder, **settings)


def metrics_of(cfg: Config) -> list[dict]:
    """The dicts of all metrics of the test."""
    found = cfg.test_evaluator
    return list(found) if isinstance(found, (list, tuple)) else [found]


def add_hook(cfg: Config, **settings: Any) -> None:
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), settings]


class MetricsHook(Hook):
    """Keeps the metrics, which not every test loop returns; shows a bar while batches are slow."""

    def before_test_epoch(self, runner: Any) -> None:
        # MMagic's loop has several data loaders.
        loader = getattr(runner.test_loop, 'dataloader', ()) if is_main_process() else ()
        if loader:
            print(f'Testing {runner._load_from} on {len(loader.dataset)} samples', flush=True)
        self.bar = patient_progress(range(len(loader)), 'Testing')
        next(self.bar, None)

    def after_test_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        next(self.bar, None)

    def after_test_epoch(self, runner: Any, metrics: dict | None = None) -> None:
        self.metrics = {name: float(value) for name, value in (metrics or {}).items()}


def write_metrics(path: str, metrics: dict[str, float]) -> None:
    """Write names and numbers as JSON, which has none that are not finite."""
    finite = {name: x if math.isfinite(x) else None for name, x in metrics.items()}
    with atomic_file(path) as file:
        file.write(f'{json.dumps(finite, indent=2)}\n'.encode())


@explained_errors('test.py')
def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    launch.forbid_unsafe_loading()
    cfg = load_config(args.config, args.cfg_options, args.work_dir)
    for key in ('test_dataloader', 'test_evaluator', 'test_cfg'):
        if cfg.get(key) is None:
            raise UserError(f'{cfg.filename} does not say what to test: it has no {key}')
    drop_refined(cfg)
    if args.out is not None:
        check_file(args.out, ['.json', '.npz'], force=True)
    choose_checkpoint(cfg, args.checkpoint)
    # It refuses a checkpoint that does not fit, whatever hook the config has.
    fit = dict(type='mmcoordgan.CoordGANCheckpointHook', _delete_=True)
    cfg.merge_from_dict({'default_hooks.checkpoint': fit})
    if args.amp:
        cfg.test_cfg.fp16 = True
    if args.show_dir is not None:
        draw_into(cfg, args.show_dir)
    if args.out is not None and args.out.endswith('.npz'):
        add_hook(cfg, type='mmcoordgan.PredictionHook', path=args.out)
    launch.join_processes(cfg, args.launcher, args.local_rank)
    kept, runner = MetricsHook(), launch.ToolRunner.from_cfg(cfg)
    runner.register_hook(kept, 'LOWEST')
    runner.test()
    if is_main_process():
        if args.out is not None and args.out.endswith('.json'):
            write_metrics(args.out, kept.metrics)
        if args.out is not None:
            print(f'written: {args.out}', file=sys.stderr)
        # Classes and references stand in tables of their own.
        shown = {k: x for k, x in kept.metrics.items() if not re.search(r'iou/|/ref\d', k)}
        width = max(map(len, shown), default=0)
        for name, value in shown.items():
            print(f'{name:<{width}}  {value:10.4f}')
        print(f'Done. The log, and pictures/ if some were drawn, are in {cfg.work_dir}')
    launch.leave_processes()


if __name__ == '__main__':
    main()

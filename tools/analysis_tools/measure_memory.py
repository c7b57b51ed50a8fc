"""Whether a training's memory and checkpoints grow: trains, and prints slopes.

    python tools/analysis_tools/measure_memory.py configs/coordgan/toyfaces_32.py --iters 2000

The slope is a least squares fit through the resident memory in the second half of the run, in KiB
per 1000 iterations; workers of the data loader are counted apart. Ends with exit code 1 if the sum
of both is larger than ``--at-most``. Needs psutil (``pip install psutil``).
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.hooks import Hook

from mmcoordgan.cli.config import CfgOptionsAction, load_config
from mmcoordgan.cli.launch import (
    ToolRunner,
    check_checkpoint,
    explained_errors,
    forbid_unsafe_loading,
)
from mmcoordgan.work_dir import last_checkpoint

try:
    import psutil
except ImportError:
    sys.exit('measure_memory.py needs psutil: pip install psutil')


class MemoryHook(Hook):
    """Resident memory of this process and of its children, and the last checkpoint's size."""

    priority = 'LOWEST'

    def __init__(self, interval: int) -> None:
        self.interval = interval
        self.rows: list[tuple[int, int, int, int]] = []
        """Iteration, and KiB of this process, of its children, and of the last checkpoint."""

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Note how much there is."""
        if not self.every_n_train_iters(runner, self.interval):
            return
        gc.collect()  # what waits to be collected is no leak
        process = psutil.Process()
        children = sum(child.memory_info().rss for child in process.children(recursive=True))
        checkpoint = last_checkpoint(runner.work_dir)
        size = os.path.getsize(checkpoint) if checkpoint else 0
        sizes = (process.memory_info().rss, children, size)
        self.rows.append((runner.iter + 1, *(value // 1024 for value in sizes)))


def slope(rows: list[tuple[int, int, int, int]], column: int) -> float:
    """KiB per 1000 iterations in the second half of the run."""
    half = np.array(rows[len(rows) // 2 :], dtype=float)
    return float(1000 * np.polyfit(half[:, 0], half[:, column], 1)[0])


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='measure_memory.py',
        description="Train for a while and print how memory and checkpoints grow. The config's "
        'log, images and checkpoints are written as in any training, into a temporary folder.',
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('--iters', type=int, default=2000, help='iterations [2000]')
    parser.add_argument('--every', type=int, default=50, help='iterations between samples [50]')
    parser.add_argument(
        '--at-most', type=float, metavar='KIB', help='fail if memory grows faster than this'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptionsAction,
        metavar='KEY=VALUE',
        help='change values of the config',
    )
    args = parser.parse_args(argv)
    if args.iters < 8 * args.every:
        parser.error(f'--iters must be at least eight times --every ({args.every})')
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    hook = MemoryHook(args.every)
    with tempfile.TemporaryDirectory() as folder, explained_errors('measure_memory.py'):
        forbid_unsafe_loading()
        cfg = load_config(args.config, args.cfg_options, folder)
        cfg.train_cfg.max_iters = args.iters
        if cfg.get('load_from') is not None:
            check_checkpoint(cfg.load_from)
        runner = ToolRunner.of(cfg)
        runner.register_hook(hook)
        runner.train()
        files = [path for path in Path(folder).rglob('*') if path.is_file()]
        sizes: dict[str, list[int]] = {}
        for path in files:
            sizes.setdefault(path.suffix or path.name, []).append(path.stat().st_size // 1024)
    print('iteration, KiB of the process, of its workers, of the last checkpoint:')
    for row in hook.rows[:: max(1, len(hook.rows) // 10)]:
        print(f'{row[0]:9} {row[1]:10} {row[2]:10} {row[3]:10}')
    growth = [slope(hook.rows, column) for column in (1, 2, 3)]
    print(
        f'per 1000 iterations: process {growth[0]:+.1f} KiB, workers {growth[1]:+.1f} KiB, '
        f'checkpoint {growth[2]:+.1f} KiB'
    )
    left = [f'{len(found)} {kind} of {sum(found)} KiB' for kind, found in sorted(sizes.items())]
    print(f'files left: {", ".join(left)}')
    return 1 if args.at_most is not None and growth[0] + growth[1] > args.at_most else 0


if __name__ == '__main__':
    sys.exit(main())

"""Whether a training's memory and checkpoints grow: trains, and prints slopes.

    python tools/analysis_tools/measure_memory.py configs/coordgan/toyfaces_32.py --iters 2000

The slope is a least squares fit through the resident memory in the second half of the run, in KiB
per 1000 iterations; workers of the data loader are counted apart. Needs psutil (``pip install
psutil``).
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
from typing import Any

import numpy as np
import psutil
from mmengine.hooks import Hook

from mmcoordgan.cli.config import CfgOptionsAction, load_config
from mmcoordgan.cli.launch import ToolRunner, explained_errors, forbid_unsafe_loading
from mmcoordgan.work_dir import last_checkpoint


class MemoryHook(Hook):
    """Resident memory of this process and of its children, and the last checkpoint's size."""

    priority = 'LOWEST'

    def __init__(self, interval: int) -> None:
        self.interval = interval
        self.rows: list[tuple[int, ...]] = []
        """Iteration, and KiB of this process, of its children, and of the last checkpoint."""

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Note how much there is."""
        if self.every_n_train_iters(runner, self.interval):
            gc.collect()  # what waits to be collected is no leak
            process, checkpoint = psutil.Process(), last_checkpoint(runner.work_dir)
            children = sum(child.memory_info().rss for child in process.children(recursive=True))
            size = os.path.getsize(checkpoint) if checkpoint else 0
            sizes = (process.memory_info().rss, children, size)
            self.rows.append((runner.iter + 1, *(value // 1024 for value in sizes)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description='Trains for a while, into a temporary folder, and prints how memory and '
        'checkpoints grow.'
    )
    add = parser.add_argument
    add('config', help='config file')
    add('--iters', type=int, default=2000, help='iterations [2000]')
    text = 'change values of the config'
    add('--cfg-options', nargs='+', action=CfgOptionsAction, metavar='KEY=VALUE', help=text)
    args = parser.parse_args()
    hook = MemoryHook(max(1, args.iters // 40))
    with tempfile.TemporaryDirectory() as folder:
        forbid_unsafe_loading()
        cfg = load_config(args.config, args.cfg_options, folder)
        cfg.train_cfg.max_iters = args.iters
        runner = ToolRunner.from_cfg(cfg)
        runner.register_hook(hook)
        runner.train()
    print('iteration, KiB of the process, of its workers, of the last checkpoint:')
    for row in hook.rows[::4]:
        print('{:9} {:10} {:10} {:10}'.format(*row))
    half = np.array(hook.rows[len(hook.rows) // 2 :], dtype=float)
    process, workers, checkpoint = 1000 * np.polyfit(half[:, 0], half[:, 1:], 1)[0]
    print(
        f'per 1000 iterations: process {process:+.1f} KiB, workers {workers:+.1f} KiB, '
        f'checkpoint {checkpoint:+.1f} KiB'
    )


if __name__ == '__main__':
    with explained_errors('measure_memory.py'):
        main()

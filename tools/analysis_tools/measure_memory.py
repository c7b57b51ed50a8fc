"""Whether a training's memory grows: trains into a temporary folder, and prints slopes.

Fits the resident memory in the second half of the run by least squares, in KiB per 1000 iterations;
workers of the data loader are counted apart. Needs psutil.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
from typing import Any

import numpy as np
import psutil
from mmengine.hooks import Hook

from mmcoordgan.cli.config import CfgOptionsAction, load_config
from mmcoordgan.cli.launch import ToolRunner


class MemoryHook(Hook):
    """Keeps iterations, and resident KiB of this process and of its children."""

    priority = 'LOWEST'

    def __init__(self, interval: int) -> None:
        self.interval = interval
        self.rows: list[tuple[int, int, int]] = []

    def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        if self.every_n_train_iters(runner, self.interval):
            gc.collect()  # what waits to be collected is no leak
            process = psutil.Process()
            workers = sum(child.memory_info().rss for child in process.children(recursive=True))
            row = runner.iter + 1, process.memory_info().rss // 1024, workers // 1024
            self.rows.append(row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('config', help='config file')
    add('--iters', type=int, default=2000, help='iterations [2000]')
    text = 'change values of the config, as train.py does'
    add('--cfg-options', nargs='+', action=CfgOptionsAction, metavar='KEY=VALUE', help=text)
    args = parser.parse_args()
    hook = MemoryHook(max(1, args.iters // 40))
    with tempfile.TemporaryDirectory() as folder:
        cfg = load_config(args.config, args.cfg_options, folder)
        cfg.train_cfg.max_iters = args.iters
        runner = ToolRunner.from_cfg(cfg)
        runner.register_hook(hook)
        runner.train()
    print('iteration, KiB of the process, of its workers:')
    for row in hook.rows[::4]:
        print('{:9} {:10} {:10}'.format(*row))
    half = np.array(hook.rows[len(hook.rows) // 2 :], dtype=float)
    process, workers = 1000 * np.polyfit(half[:, 0], half[:, 1:], 1)[0]
    print(f'per 1000 iterations: process {process:+.1f} KiB, workers {workers:+.1f} KiB')


if __name__ == '__main__':
    main()

"""Images per second of a config's training data, beside a plain loop with Pillow.

The plain loop does the same work in a DataLoader of torch with as many workers: open the file,
convert it to RGB, resize it (bilinear, antialiased), flip it at random, make it a tensor in
[-1, 1]. Prints medians of 5 rounds of 1000 images, in which both take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from measuring import machine
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler

from mmcoordgan.cli.config import load_config
from mmcoordgan.datasets.image_folder import list_images
from mmcoordgan.registry import MODELS

WORKERS, IMAGES, ROUNDS = 2, 1000, 5


class PlainFolder(Dataset):
    """What one would write without any framework."""

    def __init__(self, root: str, size: int) -> None:
        self.paths = [Path(root, path) for path in list_images(root)]
        self.size = size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        with Image.open(self.paths[index]) as file:
            image = file.convert('RGB').resize((self.size, self.size), Image.Resampling.BILINEAR)
        if torch.rand(()) < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()  # (3, S, S)
        return tensor.float().div_(255).sub_(0.5).div_(0.5)


def plain_batches(cfg: Config) -> Iterable[Tensor]:
    """Batches (B, 3, S, S) in [-1, 1] without end."""
    loader = cfg.train_dataloader
    dataset = PlainFolder(loader.dataset.data_root, cfg.model.generator.image_size)
    sampler = RandomSampler(dataset, replacement=True, num_samples=10**9)
    return DataLoader(dataset, loader.batch_size, sampler=sampler, num_workers=loader.num_workers)


def our_batches(cfg: Config) -> Iterator[Tensor]:
    """The same from the config's data loader and its model's preprocessor."""
    preprocessor = MODELS.build(cfg.model.data_preprocessor)
    for batch in Runner.build_dataloader(cfg.train_dataloader.to_dict(), seed=0):
        yield preprocessor(batch, True)['inputs']


def measure(batches: Iterable[Tensor]) -> tuple[float, float]:
    """Images per second once the workers have started, and CPU milliseconds per image.

    The CPU time is that of all processes, with their start. Other work disturbs it less.
    """
    busy = sum(os.times()[:4])  # of this process and of those that it has waited for
    iterator = iter(batches)
    before = sum(len(next(iterator)) for _ in range(20))
    start, count = time.perf_counter(), 0
    while count < IMAGES:
        count += len(next(iterator))
    speed = count / (time.perf_counter() - start)
    del iterator, batches  # ends the workers
    return speed, 1000 * (sum(os.times()[:4]) - busy) / (count + before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file that trains on an ImageFolder')
    parser.add_argument('data_root', help='folder of images')
    args = parser.parse_args()
    cfg = load_config(args.config, None)
    init_default_scope(cfg.default_scope)
    loader = cfg.train_dataloader
    loader.update(num_workers=WORKERS, persistent_workers=True)
    loader.dataset.data_root = args.data_root
    torch.set_num_threads(1)  # the workers compute; threads here would only take their cores
    rounds = [[measure(make(cfg)) for make in (plain_batches, our_batches)] for _ in range(ROUNDS)]
    print(f'{machine("cpu")}\n{args.config}, batch {loader.batch_size}, {WORKERS} workers')
    for name, found in zip(('plain', 'ours'), zip(*rounds)):
        speeds, busy = zip(*found)
        every = ', '.join(f'{speed:.0f}' for speed in speeds)
        speed, cost = statistics.median(speeds), statistics.median(busy)
        print(f'{name:6}{speed:7.1f} images/s ({every}), {cost:5.2f} CPU-ms per image')


if __name__ == '__main__':
    main()

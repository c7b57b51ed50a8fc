import random

import numpy as np
import torch
from mmengine.runner import Runner

from mmcoordgan.datasets import ResumableSampler, SeededDataset
from mmcoordgan.registry import DATASETS


@DATASETS.register_module(force=True)
class Augmented(torch.utils.data.Dataset):
    """Samples that draw from every random source."""

    metainfo = {'classes': ('a',)}

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return index, random.random(), np.random.rand(), float(torch.rand(1))


def samples(count, workers=0, start=0, seed=1):
    loader = dict(
        batch_size=2,
        num_workers=workers,
        sampler=ResumableSampler(range(6), seed=seed, start=start),
        dataset=SeededDataset(dict(type='Augmented')),
        collate_fn=dict(type='pseudo_collate'),
    )
    loader = Runner.build_dataloader(loader)
    found = []
    for batch in loader:
        found += list(zip(*batch))
        if len(found) >= count:
            return found[:count]


def test_augmentations_are_a_function_of_seed_and_position():
    whole = samples(20)
    assert len({numbers for sample in whole for numbers in sample[1:]}) == 60  # never the same
    assert [index for index, *_ in whole[:6]] != [index for index, *_ in whole[6:12]]
    assert samples(8, start=12) == whole[12:]
    assert samples(20, workers=2) == whole
    assert [s[1:] for s in samples(20, seed=2)] != [s[1:] for s in whole]


def test_loading_leaves_the_random_states_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    data = SeededDataset(Augmented())
    assert len(data) == 6 and data.metainfo == {'classes': ('a',)}
    _ = data[next(iter(ResumableSampler(range(6), seed=1)))]
    assert torch.equal(torch.rand(2), expected)

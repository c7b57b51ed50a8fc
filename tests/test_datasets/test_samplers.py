from itertools import islice

import numpy as np
import pytest
import torch

from mmcoordgan.datasets import SeededDataset, samplers
from mmcoordgan.registry import DATA_SAMPLERS


@pytest.mark.parametrize('world_size', [1, 2, 3, 9])
@pytest.mark.parametrize('length', [3, 4, 10, 11])
def test_every_query_once_behind_all_references(monkeypatch, world_size, length):
    queries = []
    for rank in range(world_size):
        monkeypatch.setattr(samplers, 'get_dist_info', lambda rank=rank: (rank, world_size))
        config = dict(type='mmcoordgan.ReferenceSampler', num_references=3)
        sampler = DATA_SAMPLERS.build(config, default_args=dict(dataset=range(length), seed=1))
        indices = list(sampler)
        assert len(sampler) == len(indices) and indices[:3] == [0, 1, 2]
        assert list(sampler) == indices
        assert indices == sorted(indices)
        queries += indices[3:]
    assert sorted(queries) == list(range(3, length))


def drawn(monkeypatch, count, *, rank=0, world_size=1, length=5, **kwargs):
    """The first indices of a process, with their draws."""
    monkeypatch.setattr(samplers, 'get_dist_info', lambda: (rank, world_size))
    config = dict(type='mmcoordgan.ResumableSampler', seed=3, **kwargs)
    sampler = DATA_SAMPLERS.build(config, default_args=dict(dataset=range(length)))
    assert len(sampler) == length
    return [(int(i), i.draw) for i in islice(sampler, count)]


def test_every_pass_has_every_sample_once_in_an_order_of_its_own(monkeypatch):
    passes = np.array([index for index, _ in drawn(monkeypatch, 40)]).reshape(8, 5)
    assert (np.sort(passes) == np.arange(5)).all()
    assert len({tuple(one) for one in passes}) > 4
    in_order = [index for index, _ in drawn(monkeypatch, 12, shuffle=False)]
    assert in_order == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]
    assert drawn(monkeypatch, 8) != drawn(monkeypatch, 8, length=6)


@pytest.mark.parametrize('world_size', [2, 3, 7])
def test_processes_share_one_order_whatever_divides_what(monkeypatch, world_size):
    alone = drawn(monkeypatch, 12 * world_size)
    for rank in range(world_size):
        own = drawn(monkeypatch, 12, rank=rank, world_size=world_size)
        assert own == alone[rank::world_size]


@pytest.mark.parametrize('start', [0, 3, 5, 17, 10**12])
def test_it_can_begin_anywhere(monkeypatch, start):
    assert [draw for _, draw in drawn(monkeypatch, 3, start=start)] == [
        (3, start),
        (3, start + 1),
        (3, start + 2),
    ]
    if start < 100:
        assert drawn(monkeypatch, 9, start=start) == drawn(monkeypatch, 30)[start : start + 9]


class Noise(torch.utils.data.Dataset):
    metainfo = {'classes': ('a',)}

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return index, np.random.rand(), float(torch.rand(1))


def test_samples_are_drawn_by_seed_and_position_alone():
    """The random state of the process stays as it was."""
    data = SeededDataset(Noise())
    assert len(data) == 6 and data.metainfo == {'classes': ('a',)}
    torch.manual_seed(3)
    drawn, after = (
        [
            [data[index] for index in islice(samplers.ResumableSampler(range(6), seed=seed), 8)]
            for seed in (1, 1)
        ],
        torch.rand(2),
    )
    assert drawn[0] == drawn[1] and len({sample[1:] for sample in drawn[0]}) == 8
    torch.manual_seed(3)
    assert torch.equal(torch.rand(2), after)

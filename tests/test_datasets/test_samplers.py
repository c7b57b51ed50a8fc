from __future__ import annotations

import pytest

from mmcoordgan.datasets import samplers
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


@pytest.mark.parametrize('count', [0, 4])
def test_impossible_numbers(count):
    with pytest.raises(ValueError, match=r'num_references must lie in 1..3, the size of the data'):
        samplers.ReferenceSampler(range(3), num_references=count)

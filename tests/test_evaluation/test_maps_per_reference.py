"""Queries with one map for each reference, as methods that compare pairs give them."""

import numpy as np
import pytest
import torch
from eval_stub import sample

from mmcoordgan.evaluation import KeypointTransferPCK, SegTransferIoU
from mmcoordgan.geometry import canonical_grid

SETTINGS = dict(num_references=2, temperature=0.02)


def samples(size: int = 9) -> list[dict]:
    """Two references with different labels and points, and three queries with two maps each."""
    source = np.random.default_rng(1)
    made = []
    for index in range(5):
        coords = canonical_grid(size, size)
        if index > 1:
            shifts = torch.from_numpy(source.normal(0, 0.3, (2, 2, 1, 1))).float()
            coords = coords + shifts  # (2 references, 2, size, size)
        labels = source.integers(0, 3, (size, size))
        points = torch.from_numpy(source.uniform(0.2, 0.8, (4, 2))).float()
        more = dict(gt_points=points, ori_shape=(size, size))
        made.append(sample(index, coords, labels, **more))
    return made


@pytest.mark.parametrize(
    'metric',
    [
        lambda count: SegTransferIoU(num_classes=3, **{**SETTINGS, 'num_references': count}),
        lambda count: KeypointTransferPCK(**{**SETTINGS, 'num_references': count}),
    ],
)
def test_each_reference_counts_as_it_does_alone(metric):
    """Numbers by reference are those of a metric with that reference and its maps alone."""
    given = samples()
    both = metric(2)
    both.process(None, given)
    together = both.evaluate(5)
    key = 'iou' if isinstance(both, SegTransferIoU) else 'nme'
    found = []
    for reference in range(2):
        alone = metric(1)
        queries = [{**q, 'coords': q['coords'][reference], 'sample_idx': 9} for q in given[2:]]
        for one in [{**given[reference], 'sample_idx': 0}, *queries]:
            alone.process(None, [one])
        found.append(alone.evaluate(4)[key])
    assert found[0] != pytest.approx(found[1])
    assert together[key] == pytest.approx(np.mean(found))


def test_as_many_maps_as_references():
    metric = SegTransferIoU(num_classes=3, **{**SETTINGS, 'num_references': 3})
    given = samples()
    given[2]['coords'] = given[1]['coords'] = given[0]['coords']
    with pytest.raises(ValueError, match=r'must be \(2, H, W\) and finite, but is \(2, 2, 9, 9\)'):
        metric.process(None, given)

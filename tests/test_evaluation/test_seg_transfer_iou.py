import numpy as np
import pytest
import torch
import torch.nn.functional as F
from eval_stub import sample

from mmcoordgan.evaluation import SegTransferIoU
from mmcoordgan.geometry import canonical_grid
from mmcoordgan.registry import DATASETS

CLASSES = ('sky', 'tree', 'house', 'road')


def metric(**settings):
    made = SegTransferIoU(**settings)
    made.dataset_meta = {'classes': CLASSES}
    return made


def random_samples(count=11, size=6, seed=0, coords_of_truth=False):
    """Random labels in blocks, random smooth maps."""
    source = np.random.default_rng(seed)
    samples = []
    for index in range(count):
        labels = source.integers(0, 4, (size, size))
        coords = canonical_grid(size, size) + 0.3 * torch.from_numpy(source.normal(size=(2, 1, 1)))
        coords = coords + 0.05 * torch.from_numpy(source.normal(size=(2, size, size)))
        more = {'gt_coords': {'data': coords.float()}} if coords_of_truth else {}
        samples.append(sample(index, coords, labels, **more))
    return samples


def brute_force(samples, k, temperature, predict='each'):
    """IoU with loops over pixels: (references, classes), benchmark and strict."""
    size = samples[0]['coords'].shape[-1]
    labels = [s['gt_sem_seg']['data'][0].numpy() for s in samples]
    points = [s['coords'].reshape(2, -1).numpy().astype(float) for s in samples]
    counts = np.zeros((2, 2, 1 if predict == 'fused' else k, 4))  # rule, inter or union
    for q in range(k, len(samples)):
        votes = np.zeros((k, size * size, 4))
        for r in range(k):
            if predict == 'identity':
                votes[r] = np.eye(4)[labels[r].ravel()]
                continue
            for p in range(size * size):
                distance = np.hypot(*(points[r] - points[q][:, p : p + 1]))
                weight = np.exp(-(distance - distance.min()) / temperature)
                votes[r, p] = (weight / weight.sum()) @ np.eye(4)[labels[r].ravel()]
        if predict == 'fused':
            votes = votes.sum(0, keepdims=True)
        truth = labels[q].ravel()
        for r, vote in enumerate(votes):
            for predicted, true in zip(vote.argmax(1), truth):
                for strict in (0, 1):
                    mine = predicted if strict or true else 0
                    for c in {mine, true}:
                        counts[strict, 1, r, c] += 1
                    if mine == true:
                        counts[strict, 0, r, true] += 1
    return 100 * counts[:, 0, :, 1:] / (counts[:, 1, :, 1:] + 1e-10)


@pytest.mark.parametrize('batch', [1, 4, 11])
def test_against_loops_over_pixels(batch):
    samples = random_samples()
    made = metric(num_references=3, temperature=0.1)
    for start in range(0, len(samples), batch):
        made.process(None, samples[start : start + batch])
    numbers = made.evaluate(len(samples))

    benchmark, strict = brute_force(samples, 3, 0.1)
    assert numbers['iou'] == pytest.approx(benchmark.mean())
    assert numbers['strict_iou'] == pytest.approx(strict.mean())
    assert strict.mean() < benchmark.mean()
    for name, value in zip(CLASSES[1:], benchmark.mean(0)):
        assert numbers[f'iou/{name}'] == pytest.approx(value)
    for k, value in enumerate(benchmark.mean(1)):
        assert numbers[f'iou/ref{k}'] == pytest.approx(value)
    for name in ('fused', 'identity'):
        benchmark, strict = brute_force(samples, 3, 0.1, name)
        assert numbers[f'{name}_iou'] == pytest.approx(benchmark.mean())
        assert numbers[f'strict_{name}_iou'] == pytest.approx(strict.mean())
    assert 'ceiling_iou' not in numbers and 'iou/sky' not in numbers


def test_counted_by_hand():
    """Two pixels of a 1 x 4 image are right, one part is on background, one class is absent."""
    row = canonical_grid(1, 4)
    made = metric(num_references=1)
    made.process(None, [sample(0, row, [[1, 1, 2, 2]])])
    made.process(None, [sample(1, row, [[0, 1, 1, 2]])])
    numbers = made.evaluate(2)
    assert numbers['iou/tree'] == pytest.approx(50)  # 1 of 2: the one on background is free
    assert numbers['iou/house'] == pytest.approx(50)
    assert numbers['iou/road'] == 0  # in no query: scores 0, enters the mean
    assert numbers['iou'] == pytest.approx(100 / 3)
    assert numbers['strict_iou'] == pytest.approx((100 / 3 + 50 + 0) / 3)


def test_void_pixels_count_nowhere():
    row = canonical_grid(1, 6)
    made = metric(num_references=1, mode='hard')
    made.dataset_meta = {'classes': CLASSES, 'ignore_index': 255}
    reference = sample(0, row, [[1, 255, 2, 2, 3, 0]])
    # The nearest to its void pixel is the first, so that this is what the query is given.
    query = sample(1, row - 0.01, [[1, 1, 255, 2, 1, 255]])
    made.process(None, [reference, query])
    numbers = made.evaluate(2)
    assert numbers['iou/tree'] == pytest.approx(200 / 3)  # two of the three are found
    assert numbers['iou/house'] == pytest.approx(100)
    assert numbers['iou/road'] == 0  # predicted for a tree
    assert numbers['identity_iou'] == pytest.approx((100 / 3 + 100 + 0) / 3)

    half = torch.tensor([[0.5, 0], [0, 0.4]])  # of class 1; the rest is void
    soft = torch.stack([torch.zeros(2, 2), half, torch.zeros(2, 2), torch.zeros(2, 2)])
    grid = canonical_grid(2, 2)
    labels = sample(0, grid, torch.ones(2, 2, dtype=torch.int64))
    made.process(None, [labels, sample(1, grid, gt_soft_seg={'data': soft})])
    assert made.totals[''].sum() == 1  # more than half of three pixels is void
    made.reset()
    made.dataset_meta = {'classes': CLASSES}
    with pytest.raises(ValueError, match='holds 255, but labels are'):
        made.process(None, [reference])


@pytest.mark.parametrize('side', [2, 8])
def test_labels_counted_at_another_size_than_that_of_the_map(side):
    """Maps of 4 x 4; what is carried is resized to the labels' own size."""
    source = np.random.default_rng(1)
    labels = [torch.from_numpy(source.integers(0, 4, (side, side))) for _ in range(3)]
    maps = [canonical_grid(4, 4) + 0.2 * torch.rand(2, 4, 4) for _ in range(3)]
    made = metric(num_references=2, mode='hard', label_size=side)
    made.process(None, [sample(i, c, y) for i, (c, y) in enumerate(zip(maps, labels))])
    numbers = made.evaluate(3)

    def resize(one_hot, size):
        return F.interpolate(one_hot[None], (size, size), mode='bilinear')[0]

    one_hot = [F.one_hot(y, 4).permute(2, 0, 1).float() for y in labels]
    votes, counts = [], []
    for r in range(2):
        distance = (maps[2].flatten(1)[:, :, None] - maps[r].flatten(1)[:, None]).norm(dim=0)
        carried = resize(one_hot[r], 4).flatten(1)[:, distance.argmin(1)].view(4, 4, 4)
        votes.append(resize(carried, side))
        counts.append((votes[r].argmax(0), one_hot[r].argmax(0)))
    for name, found in {
        'strict_iou': [c[0] for c in counts],
        'strict_identity_iou': [c[1] for c in counts],
        'strict_fused_iou': [sum(votes).argmax(0)],
    }.items():
        ious = [
            100 * ((p == c) & (labels[2] == c)).sum() / max(((p == c) | (labels[2] == c)).sum(), 1)
            for p in found
            for c in (1, 2, 3)
        ]
        assert numbers[name] == pytest.approx(float(np.mean(ious)), abs=1e-4), name


def test_ceiling_is_the_transfer_of_true_coordinates():
    samples = random_samples(coords_of_truth=True)
    made = metric(num_references=3, temperature=0.1)
    made.process(None, [{**s, 'coords': canonical_grid(6, 6)} for s in samples])
    numbers = made.evaluate(11)
    benchmark, strict = brute_force(samples, 3, 0.1)
    assert numbers['ceiling_iou'] == pytest.approx(benchmark.mean())
    assert numbers['strict_ceiling_iou'] == pytest.approx(strict.mean())
    made.ceiling = False
    made.process(None, samples)
    assert 'ceiling_iou' not in made.evaluate(11)
    # The model predicts no motion at all: it does what the baseline does.
    assert numbers['iou'] == pytest.approx(numbers['identity_iou'])


def test_ignored_classes():
    samples = random_samples()
    results = []
    for ignored in ([], ['house'], [2]):
        made = metric(num_references=3, ignore_classes=ignored)
        made.process(None, samples)
        results.append(made.evaluate(11))
    every, by_name, by_number = results
    assert by_name == by_number
    assert by_name['iou'] == pytest.approx((every['iou/tree'] + every['iou/road']) / 2)
    assert by_name['iou/house'] == every['iou/house']
    for ignored in ('hous', 4):
        with pytest.raises(ValueError, match=rf'{ignored!r} is no class; known are 0 \(sky\)'):
            metric(ignore_classes=[ignored], num_references=3).process(None, samples)
    with pytest.raises(ValueError, match='leaves no class for the mean'):
        metric(ignore_classes=[1, 2, 3], num_references=3).process(None, samples)


def test_references_must_come_first():
    samples = random_samples()
    message = (
        r'the query sample 3 came before the references \[1, 2\] \(sample_idx\).* '
        r"sampler=dict\(type='ReferenceSampler', num_references=3\)"
    )
    with pytest.raises(ValueError, match=message):
        metric(num_references=3).process(None, [samples[0], samples[3]])
    del samples[0]['sample_idx']
    with pytest.raises(KeyError, match='predictions lack sample_idx'):
        metric().process(None, samples)


def test_samples_of_two_data_sets():
    """Each counts its own samples; together they need positions of their own."""
    made, samples = metric(num_references=3), random_samples()
    made.process(None, [*samples, samples[3]])
    with pytest.raises(ValueError, match=r'9 queries were counted, but the data set has only 8'):
        made.evaluate(11)
    made.process(None, samples)
    with pytest.raises(
        ValueError, match=r'two samples have sample_idx 1, .*mmcoordgan\.ConcatData'
    ):
        made.process(None, [samples[1]])
    both = DATASETS.build(
        dict(
            type='ConcatDataset', datasets=[dict(type='ToyFaces', size=8, length=n) for n in (4, 3)]
        )
    )
    assert len(both) == 7
    assert [both[i]['data_samples'].sample_idx for i in range(-1, 7)] == [6, *range(7)]


def test_queries_without_labels(monkeypatch):
    log: list[str] = []
    name = 'mmcoordgan.evaluation.transfer_metric.print_log'
    monkeypatch.setattr(name, lambda text, *_, **__: log.append(text))
    samples = random_samples()
    for one in samples[3:]:
        del one['gt_sem_seg']
    made = metric(num_references=3)
    made.process(None, samples)
    assert made.evaluate(11) == {}
    assert log == ['SegTransferIoU: none of 8 queries has ground truth: nothing to report']
    # Some labelled ones are enough.
    samples[5] = random_samples()[5]
    made.process(None, samples)
    few = made.evaluate(11)
    assert log[1].startswith(
        'SegTransferIoU: 3 references, 1 queries (7 more without ground truth)\n'
    )
    made.process(None, [*samples[:3], samples[5]])
    assert made.evaluate(4) == few and few['iou'] > 0


@pytest.mark.parametrize('key', ['num_references', 'temperature'])
def test_bad_settings(key):
    with pytest.raises(ValueError, match='needs num_references >= 1 and temperature > 0'):
        SegTransferIoU(**{key: 0})

import numpy as np
import pytest
import torch
from eval_stub import sample

from mmcoordgan.evaluation import KeypointTransferPCK
from mmcoordgan.geometry import canonical_grid


def random_samples(count=6, size=5):
    source = np.random.default_rng(0)
    samples = []
    for index in range(count):
        truth = canonical_grid(size, size).double().numpy() + 0.2 * source.normal(size=(2, 1, 1))
        coords = truth + 0.1 * source.normal(size=(2, size, size))
        labels = source.integers(0, 2, (size, size))
        field = {'data': torch.from_numpy(truth).float()}
        samples.append(sample(index, coords, labels, gt_coords=field))
    return samples


def brute_force(samples, k, temperature, alpha, maps=None, foreground=False):
    """Loops over pixels; maps 'identity' moves nothing, 'gt_coords' are the true ones."""
    truth = [s['gt_coords']['data'].double().reshape(2, -1).numpy() for s in samples]
    points = [s['coords'].double().reshape(2, -1).numpy() for s in samples]
    if maps == 'gt_coords':
        points = truth
    shares, errors = [], []
    for r in range(k):
        found = []
        for q in range(k, len(samples)):
            labels = samples[q]['gt_sem_seg']['data'].ravel()
            for p in range(truth[q].shape[1]):
                if foreground and labels[p] == 0:
                    continue
                if maps == 'identity':
                    arrived = truth[r][:, p]
                else:
                    distance = np.hypot(*(points[r] - points[q][:, p : p + 1]))
                    weight = np.exp(-(distance - distance.min()) / temperature)
                    arrived = truth[r] @ (weight / weight.sum())
                found.append(np.hypot(*(arrived - truth[q][:, p])))
        shares.append(100 * np.mean(np.array(found) < alpha))
        errors.append(np.mean(found))
    return shares, errors


@pytest.mark.parametrize('foreground', [False, True])
def test_against_loops_over_pixels(foreground):
    samples = random_samples()
    settings = dict(num_references=2, temperature=0.1, alpha=0.2)
    metric = KeypointTransferPCK(foreground_only=foreground, **settings)
    metric.dataset_meta = {'classes': ['background', 'face']}
    for start in range(0, 6, 3):
        metric.process(None, samples[start : start + 3])
    numbers = metric.evaluate(6)
    for name, maps in {'': None, 'identity_': 'identity', 'ceiling_': 'gt_coords'}.items():
        shares, errors = brute_force(samples, 2, 0.1, 0.2, maps, foreground)
        assert numbers[f'{name}pck@0.2'] == pytest.approx(np.mean(shares), abs=1e-6)
        assert numbers[f'{name}error'] == pytest.approx(np.mean(errors), abs=1e-6)
        if not name:
            for k in range(2):
                assert numbers[f'pck@0.2/ref{k}'] == pytest.approx(shares[k], abs=1e-6)
                assert numbers[f'error/ref{k}'] == pytest.approx(errors[k], abs=1e-6)


def test_ground_truth_is_needed():
    samples = random_samples()
    metric = KeypointTransferPCK(num_references=2)
    del samples[0]['gt_coords']
    with pytest.raises(
        ValueError, match='the reference sample 0 has neither gt_points nor gt_coords'
    ):
        metric.process(None, samples)


def with_points(index, coords, points, shape=(8, 8), **more):
    """A prediction with key points in pixels of an image of ``shape``."""
    fractions = (torch.tensor(points, dtype=torch.float32) + 0.5) / torch.tensor(shape[::-1])
    return sample(index, coords, gt_points=fractions, ori_shape=shape, **more)


def test_key_points_counted_by_hand():
    """The map of the query is that of the reference, moved right by two of eight pixels."""
    grid = canonical_grid(8, 8)
    moved = grid - torch.tensor([4 / 7, 0])[:, None, None]
    nan = float('nan')
    reference = [[1, 1], [4, 1], [2, 5], [nan, nan], [3, 3], [-1, 2]]
    query = [[3, 1], [6, 5], [4, 5], [1, 1], [nan, nan], [1, 2]]
    samples = [with_points(0, grid, reference), with_points(1, moved, query)]
    samples.append(with_points(2, moved, query[:1] * 6))  # its points have no distance
    metric = KeypointTransferPCK(num_references=1, mode='hard', normalize_by=(0, 1), alpha=0.5)
    metric.process(None, samples)
    numbers = metric.evaluate(3)
    # Points 0 to 2 count; they arrive at (3, 1), (6, 1), (4, 5). The length is |(3, 4)| = 5.
    assert numbers['nme'] == pytest.approx(100 * (0 + 4 / 5 + 0) / 3, abs=1e-4)
    assert numbers['pck@0.5'] == pytest.approx(100 * 2 / 3)
    # Copied, they are 2, sqrt(4 + 16) and 2 pixels away.
    assert numbers['identity_nme'] == pytest.approx(100 * (2 + 20**0.5 + 2) / 5 / 3, abs=1e-4)
    assert numbers['nme/ref0'] == numbers['nme']
    assert 'error' not in numbers and 'ceiling_nme' not in numbers
    for pair in ((1, 1), (0, 6), (-1, 2)):
        with pytest.raises(ValueError, match='normalize_by must be indices of two of the 6 points'):
            KeypointTransferPCK(num_references=1, normalize_by=pair).process(None, samples)
    fewer = with_points(1, moved, query[:3], img_path='a.jpg')
    with pytest.raises(ValueError, match='has 3 key points, but references have 6'):
        KeypointTransferPCK(num_references=1).process(None, [samples[0], fewer])


def test_key_points_between_pixels_and_of_images_that_are_not_square():
    """Soft transfer along a linear map is exact away from the border."""
    grid = canonical_grid(32, 32)
    moved = grid - torch.tensor([0.25, 0.125])[:, None, None]  # by 3.875 and 1.9375 of 32 pixels
    start = [[20.3, 11.7], [30.25, 9.5]]
    shape = (32, 64)  # two original pixels for each of the map in x
    end = [[x + 2 * 3.875, y + 1.9375 + 1] for x, y in start]
    samples = [with_points(0, grid, start, shape), with_points(1, moved, end, shape)]
    metric = KeypointTransferPCK(num_references=1, temperature=0.05)
    metric.process(None, samples)
    numbers = metric.evaluate(2)
    assert numbers['nme'] == pytest.approx(100 * 1 / 64, abs=0.02)  # of the longer side
    step = np.hypot(2 * 3.875, 2.9375)
    assert numbers['identity_nme'] == pytest.approx(100 * step / 64, abs=1e-3)


def test_settings():
    with pytest.raises(ValueError, match='alpha must be positive'):
        KeypointTransferPCK(alpha=0)
    metric = KeypointTransferPCK(foreground_only=True, num_references=2)
    with pytest.raises(ValueError, match="metainfo has no 'classes'"):
        metric.process(None, random_samples())

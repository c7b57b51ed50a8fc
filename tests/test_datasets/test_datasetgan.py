import os

import numpy as np
import pytest

from mmcoordgan.datasets import LoadImage, PackInputs, ResizeWithSoftLabels
from mmcoordgan.datasets.datasetgan import list_pairs
from mmcoordgan.datasets.transforms import resize_labels
from mmcoordgan.registry import DATASETS

SUBSETS = [('face', 'face-34', 34), ('car', 'car-20', 20)]


@pytest.mark.parametrize('size', [32, 128])
@pytest.mark.parametrize(('kind', 'subset', 'num_classes'), SUBSETS)
def test_samples_equal_the_reference(
    datasetgan_root, eval_json, eval_npz, short_sha, kind, subset, num_classes, size
):
    pipeline = [LoadImage(), ResizeWithSoftLabels(size=size), PackInputs()]
    settings = dict(data_root=str(datasetgan_root), subset=subset, pipeline=pipeline)
    dataset = DATASETS.build(dict(type='DatasetGANSegmentation', **settings))
    order = [
        ('train/' if 'our_train' in image else 'test/') + os.path.basename(image)[:-4]
        for image, _ in dataset.pairs
    ]
    assert order == eval_json[f'datasetgan.{kind}.order']
    palette = dataset.metainfo['palette']
    assert len(dataset.metainfo['classes']) == len(palette) == num_classes
    assert len({tuple(colour) for colour in palette}) == num_classes
    assert all(type(value) is int for colour in palette for value in colour)
    numbers = f'datasetgan.{kind}.{size}'
    assert len(dataset) == eval_json[f'{numbers}.count']
    for entry in range(len(dataset)):
        sample = dataset[entry]
        labels = sample['data_samples'].gt_sem_seg.data
        assert short_sha(labels) == eval_json[f'{numbers}.argmax_sha256'][entry]
        mean = float(sample['inputs'].double().mean() / 127.5 - 1)
        assert mean == pytest.approx(eval_json[f'{numbers}.img_mean'][entry], abs=1e-6)
        if (size, entry) == (32, 6):
            soft = sample['data_samples'].gt_soft_seg.data
            expected = eval_npz[f'datasetgan/{kind}/32/6/seg'][0]
            np.testing.assert_allclose(soft.numpy(), expected, atol=1e-6)
            image = sample['inputs'].float() / 127.5 - 1
            expected = eval_npz[f'datasetgan/{kind}/32/6/img'][0]
            np.testing.assert_allclose(image.numpy(), expected, atol=1e-6)


def test_soft_labels_by_hand():
    """Halving without antialiasing averages the middle 2 x 2 of every 2 x 2; ties go down."""
    labels = np.array([[0, 0, 1, 1], [0, 1, 1, 1], [2, 2, 2, 0], [2, 2, 0, 0]])
    soft = resize_labels(labels, 3, 2)
    expected = [[[0.75, 0], [0, 0.75]], [[0.25, 1], [0, 0]], [[0, 0], [1, 0.25]]]
    np.testing.assert_allclose(soft, expected)
    tie = np.array([[2, 1], [1, 2]])
    results = ResizeWithSoftLabels(size=1)(
        {'img': np.zeros((2, 2, 3), np.uint8), 'gt_seg_map': tie, 'num_classes': 3}
    )
    assert results['gt_seg_map'].tolist() == [[1]]


def test_pairs_go_by_number(tmp_path):
    for name in ('image_2.jpg', 'image_10.jpg', 'image_mask2.npy', 'image_mask10.npy'):
        (tmp_path / name).touch()
    pairs = [tuple(map(os.path.basename, pair)) for pair in list_pairs(str(tmp_path))]
    assert pairs == [('image_10.jpg', 'image_mask10.npy'), ('image_2.jpg', 'image_mask2.npy')]
    for name in ('image_1.jpg', 'image_mask3.npy'):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match='without a partner are the numbers 1, 3'):
        list_pairs(str(tmp_path))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='of no image'):
        list_pairs(str(tmp_path / 'empty'))

import numpy as np
import pytest
import torch

from mmcoordgan.datasets import PackInputs, RandomFlip, ToyFaces
from mmcoordgan.datasets.toy_faces.shape import face_labels
from mmcoordgan.registry import TRANSFORMS


def test_pack_keeps_rgb_and_dtypes():
    image = np.zeros((4, 6, 3), np.uint8)
    image[..., 0] = 255
    labels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    coords = np.arange(48, dtype=np.float64).reshape(2, 4, 6)
    soft = np.ones((5, 4, 6), np.float32)
    results = dict(img=image, gt_seg_map=labels, gt_coords=coords, gt_soft_seg=soft)
    packed = PackInputs()(dict(results, img_path='x.png', secret=1))
    assert packed['inputs'].dtype == torch.uint8
    assert packed['inputs'].unbind()[0].eq(255).all() and packed['inputs'][1:].eq(0).all()
    sample = packed['data_samples']
    assert sample.gt_sem_seg.data.dtype == torch.int64
    assert sample.gt_sem_seg.data[0].tolist() == labels.tolist()
    assert sample.gt_coords.data.dtype == torch.float32
    assert sample.gt_coords.data.tolist() == coords.tolist()
    assert sample.gt_soft_seg.data.shape == (5, 4, 6)
    assert sample.img_path == 'x.png' and 'secret' not in sample

    reversed_channels = PackInputs(bgr_to_rgb=True)({'img': image})['inputs']
    assert reversed_channels[2].eq(255).all() and reversed_channels[:2].eq(0).all()


@pytest.mark.parametrize('image', [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_pack_refuses_other_images(image):
    with pytest.raises(ValueError, match=r'expects img as \(H, W, 3\) uint8'):
        PackInputs()({'img': image})


def test_pack_refuses_ground_truth_of_another_size():
    dataset = ToyFaces(size=8, pipeline=[{'type': 'Resize', 'scale': (16, 16)}, PackInputs()])
    with pytest.raises(ValueError, match='gt_coords is 8x8 but the image is 16x16'):
        dataset[0]


def test_flip_mirrors_image_labels_and_coordinates():
    info = ToyFaces(size=16).get_data_info(0)
    results = {key: np.copy(info[key]) for key in ('img', 'gt_seg_map', 'gt_coords')}
    flip = TRANSFORMS.build({'type': 'RandomFlip', 'prob': 1.0})
    assert isinstance(flip, RandomFlip)
    results = flip(results)
    np.testing.assert_array_equal(results['img'], info['img'][:, ::-1])
    np.testing.assert_array_equal(results['gt_seg_map'], info['gt_seg_map'][:, ::-1])
    np.testing.assert_array_equal(results['gt_coords'][0], -info['gt_coords'][0, :, ::-1])
    np.testing.assert_array_equal(results['gt_coords'][1], info['gt_coords'][1, :, ::-1])
    np.testing.assert_array_equal(face_labels(results['gt_coords']), results['gt_seg_map'])
    twice = flip(results)
    np.testing.assert_array_equal(twice['gt_coords'], info['gt_coords'])
    with pytest.raises(ValueError, match="take direction='horizontal'"):
        RandomFlip(prob=1.0, direction='vertical')(info)


@pytest.mark.parametrize(
    ('direction', 'axes'), [('horizontal', (2,)), ('vertical', (1,)), ('diagonal', (1, 2))]
)
def test_flip_mirrors_soft_labels_and_points(direction, axes):
    soft = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    results = {'img': np.zeros((3, 4, 3), np.uint8), 'gt_soft_seg': soft}
    results['gt_points'] = np.array([[0.25, 0.125]])
    flipped = RandomFlip(prob=1.0, direction=direction)(results)
    np.testing.assert_array_equal(flipped['gt_soft_seg'], np.flip(soft, axes))
    point = [0.75 if 2 in axes else 0.25, 0.875 if 1 in axes else 0.125]
    np.testing.assert_array_equal(flipped['gt_points'], [point])

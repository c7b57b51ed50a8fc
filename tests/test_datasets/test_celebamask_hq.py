import os

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mmcoordgan.datasets import CelebAMaskHQ, LoadImage, PackInputs, ResizeWithSoftLabels
from mmcoordgan.datasets.celebamask_hq import (
    CLASSES,
    PNG_CLASSES_KEY,
    mask_path,
    read_packed_labels,
)
from mmcoordgan.registry import DATASETS

ENTRIES = (0, 5, 50)  # of the benchmark; the test data has the content of these


def small_root(tmp_path, masks: dict[str, np.ndarray], number: int = 2001):
    """A data set of one image whose masks are given."""
    (tmp_path / 'CelebA-HQ-img').mkdir()
    Image.new('RGB', (8, 8), (9, 8, 7)).save(tmp_path / 'CelebA-HQ-img' / f'{number}.jpg')
    (tmp_path / 'CelebAMask-HQ-mask-anno' / str(number // 2000)).mkdir(parents=True)
    for part, mask in masks.items():
        path = mask_path(str(tmp_path / 'CelebAMask-HQ-mask-anno'), number, part)
        Image.fromarray(mask.astype(np.uint8) * 255).save(path)
    return tmp_path


def block(left: int, right: int) -> np.ndarray:
    mask = np.zeros((8, 8), bool)
    mask[:, left:right] = True
    return mask


def test_benchmark_selection(celeba_root, eval_json):
    settings = dict(data_root=str(celeba_root), subset='benchmark')
    dataset = DATASETS.build(dict(type='CelebAMaskHQ', **settings))
    assert dataset.names == eval_json['celeba.selected_files']
    everything = CelebAMaskHQ(data_root=str(celeba_root)).names
    assert len(everything) == 210 and everything[:4] == ['0.jpg', '1.jpg', '10.jpg', '100.jpg']


def test_benchmark_selection_of_the_real_30000(tmp_path, eval_json, monkeypatch):
    real = [f'{number}.jpg' for number in range(30000)]
    monkeypatch.setattr(os, 'listdir', lambda folder: real)
    for folder in ('CelebA-HQ-img', 'CelebAMask-HQ-mask-anno'):
        (tmp_path / folder).mkdir()
    dataset = CelebAMaskHQ(data_root=str(tmp_path), subset='benchmark')
    assert dataset.names == eval_json['celeba.selected_files_of_the_real_30000']


@pytest.mark.parametrize('size', [32, 128])
def test_samples_equal_the_reference(celeba_root, eval_json, eval_npz, short_sha, size):
    dataset = CelebAMaskHQ(
        data_root=str(celeba_root),
        subset='benchmark',
        pipeline=[LoadImage(), ResizeWithSoftLabels(size=size), PackInputs()],
    )
    for entry in ENTRIES:
        painted = dataset.get_data_info(entry)['gt_seg_map']
        assert painted.shape == (512, 512) and painted.dtype == np.uint8
        assert short_sha(painted) == eval_json['celeba.seg512_sha256'][dataset.names[entry]]
        sample = dataset[entry]
        assert short_sha(sample['inputs']) == eval_json[f'celeba.{size}.img_sha256'][entry]
        arrays = {
            'img': sample['inputs'].float() / 127.5 - 1,
            'seg': sample['data_samples'].gt_soft_seg.data,
        }
        for key, values in arrays.items():
            key = f'celeba/{size}/{entry}/{key}'
            values = values.numpy().ravel()
            if key in eval_npz:
                np.testing.assert_allclose(values, eval_npz[key].ravel(), atol=1e-6)
            else:
                values = values[eval_npz[f'{key}#idx']]
                np.testing.assert_allclose(values, eval_npz[f'{key}#val'], atol=1e-6)
        labels = sample['data_samples'].gt_sem_seg.data
        assert labels.shape == (1, size, size) and labels.dtype == torch.int64
        assert short_sha(labels) == eval_json[f'celeba.{size}.argmax_sha256'][entry]


def test_later_parts_cover_earlier_ones(tmp_path):
    masks = {'skin': block(0, 8), 'nose': block(2, 6), 'mouth': block(5, 7), 'hair': block(0, 1)}
    masks['u_lip'] = block(3, 4)  # painted before the nose
    root = small_root(tmp_path, masks)
    labels = CelebAMaskHQ(data_root=str(root)).get_data_info(0)['gt_seg_map']
    assert labels[0].tolist() == [6, 6, 5, 5, 5, 1, 1, 6]
    labels = CelebAMaskHQ(data_root=str(root), num_classes=19).get_data_info(0)['gt_seg_map']
    names = [CLASSES[19][label] for label in labels[0]]
    assert names == ['hair', 'skin', 'nose', 'u_lip', 'nose', 'mouth', 'mouth', 'skin']


def test_packed_labels_are_of_their_number_of_classes(tmp_path):
    info = PngInfo()
    info.add_text(PNG_CLASSES_KEY, '19')
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / 'a.png', pnginfo=info)
    assert read_packed_labels(str(tmp_path / 'a.png'), 19).shape == (8, 8)
    with pytest.raises(ValueError, match=r'a\.png holds labels of 19 classes, not 7'):
        read_packed_labels(str(tmp_path / 'a.png'), 7)
    Image.fromarray(np.full((8, 8), 7, np.uint8)).save(tmp_path / 'b.png')
    with pytest.raises(ValueError, match=r'b\.png holds 7, but labels are 0\.\.6'):
        read_packed_labels(str(tmp_path / 'b.png'), 7)
    with pytest.raises(FileNotFoundError, match=r'e\.png: run tools/dataset_converters/celebam'):
        read_packed_labels(str(tmp_path / 'e.png'), 7)


SIZES = {'skin': block(0, 4), 'nose': block(0, 4)[:4]}
BAD = [
    ({'subset': 'benchmark'}, {}, 'needs at least 200 images, but .* holds 1'),
    ({'label_dir': 'x'}, {}, "x' does not exist.*label_dir of CelebAMaskHQ"),
    ({}, {}, r'image 2001 has no mask at all.*1/02001_\*\.png'),
    ({}, SIZES, r'nose\.png is 8x4 .* another mask of the image is 8x8'),
]


@pytest.mark.parametrize(('arguments', 'masks', 'message'), BAD)
def test_what_does_not_fit_is_named(tmp_path, arguments, masks, message):
    root = small_root(tmp_path, masks)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        CelebAMaskHQ(data_root=str(root), **arguments)[0]

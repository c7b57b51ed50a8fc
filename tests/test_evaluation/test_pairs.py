"""Single transfers against the reference implementation's numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from eval_stub import oracle_coords, write_celeba
from PIL import Image
from reference import numbers

from mmcoordgan.datasets import CelebAMaskHQ, LoadImage, PackInputs, ResizeWithSoftLabels
from mmcoordgan.evaluation import SegTransferIoU
from mmcoordgan.evaluation.examples import arg_max
from mmcoordgan.evaluation.seg_transfer_iou import confusion_matrix, intersection_and_union
from mmcoordgan.evaluation.transfer_metric import transfer_all

CLASSES = {'celeba': 7, 'face': 34}


@pytest.mark.parametrize('num_classes', [7, 34])
def test_intersection_and_union_of_the_reference(num_classes):
    arrays, expected = numbers('eval'), numbers('eval.json')[f'inter_and_union.{num_classes}']
    predicted = torch.from_numpy(arrays[f'iou/{num_classes}/pred']).long()[:, None]
    truth = torch.from_numpy(arrays[f'iou/{num_classes}/mask']).long()
    confusion = confusion_matrix(predicted, truth, num_classes)
    intersection, union = intersection_and_union(confusion[0])
    assert intersection.tolist() == expected['inter']
    assert union.tolist() == expected['union']


@pytest.mark.parametrize('mode', ['soft', 'hard'])
@pytest.mark.parametrize('case', ['celeba.oracle32', 'face.oracle32', 'celeba.oracle128'])
def test_oracle_maps(predictions, case, mode):
    kind, size = case.split('.oracle')
    check_pair(predictions(kind, int(size)), f'pair.{case}', kind, mode)


def check_pair(pair, case, kind, mode):
    """Labels both ways, and the counts that the metric makes of them."""
    arrays, expected = numbers('eval'), numbers('eval.json')[f'{case}.{mode}']
    for direction, (source, target) in {'12': (pair[1], pair[0]), '21': pair}.items():
        soft = source['gt_soft_seg']['data'][None]
        temperature = 0.01 if mode == 'soft' else 0
        maps = source['coords'][None], target['coords'][None]
        carried = arg_max(transfer_all(soft, *maps, temperature))[0]
        np.testing.assert_array_equal(carried, arrays[f'{case}/{mode}/seg{direction}'])
        image = arrays.get(f'{case}/image{direction}')
        if mode == 'soft' and image is not None:
            warped = transfer_all(source['image'][None], *maps, temperature)[0]
            np.testing.assert_allclose(warped, image, atol=2e-6)

    metric = SegTransferIoU(num_classes=CLASSES[kind], num_references=1, mode=mode)
    metric.process(None, pair)
    intersection, union = intersection_and_union(metric._totals[''][0])
    assert intersection.tolist() == expected['inter']
    assert union.tolist() == expected['union']
    iou = np.array(expected['inter']) / (np.array(expected['union']) + 1e-10)
    assert metric.evaluate(2)['iou'] == pytest.approx(100 * iou.mean(), abs=1e-9)


def celeba_labels(root, name, size=32):
    """Soft labels (size * size, 7) by NumPy alone."""
    painted = np.zeros((512, 512), int)
    parts = {'skin': 6, 'u_lip': 1, 'l_lip': 1, 'l_eye': 2, 'r_eye': 2, 'l_brow': 3, 'r_brow': 3}
    parts |= {'l_ear': 4, 'r_ear': 4, 'nose': 5, 'mouth': 1}
    for part, label in parts.items():
        folder = root / 'CelebAMask-HQ-mask-anno' / '0'
        path = folder / f'{int(name[:-4]):05d}_{part}.png'
        if path.exists():
            painted[np.asarray(Image.open(path))[..., 0] > 127] = label
    step = 512 // size
    blocks = np.eye(7)[painted].reshape(size, step, size, step, 7)
    middle = slice(step // 2 - 1, step // 2 + 1)  # what bilinear resizing reads
    return blocks[:, middle][:, :, :, middle].mean((1, 3)).reshape(-1, 7)


@pytest.mark.slow
def test_whole_celeba_benchmark_against_numpy(tmp_path):
    """5 references x 100 queries; only the maps, and not this number, are the reference's."""
    pictures = [int(name[:-4]) for name in numbers('eval.json')['celeba.selected_files']]
    write_celeba(tmp_path, pictures)
    root = tmp_path / 'CelebAMask-HQ'
    steps = [LoadImage(), ResizeWithSoftLabels(size=32), PackInputs()]
    dataset = CelebAMaskHQ(data_root=root, subset='benchmark', pipeline=steps)
    metric = SegTransferIoU()
    metric.dataset_meta = dataset.metainfo
    for index in range(len(dataset)):
        made = dataset[index]['data_samples'].to_dict()
        metric.process(None, [{**made, 'coords': oracle_coords('celeba', made['img_path'], 32)}])

    names = sorted(f'{number}.jpg' for number in range(210))
    chosen = [names[i] for i in (1, 3, 5, 6, 8)] + names[100:200]
    soft = [celeba_labels(root, name) for name in chosen]
    maps = [oracle_coords('celeba', name, 32).reshape(2, -1).double().numpy() for name in chosen]
    counts = np.zeros((2, 5, 7))
    for r in range(5):
        for labels, points in zip(soft[5:], maps[5:]):
            distance = np.hypot(*(points[:, :, None] - maps[r][:, None]))
            weight = np.exp((distance.min(1, keepdims=True) - distance) / 0.01)
            predicted = (weight / weight.sum(1, keepdims=True) @ soft[r]).argmax(1)
            truth = labels.argmax(1)
            predicted[truth == 0] = 0
            for c in range(1, 7):
                found = predicted == c, truth == c
                counts[:, r, c] += np.logical_and(*found).sum(), np.logical_or(*found).sum()
    iou = 100 * counts[0, :, 1:] / (counts[1, :, 1:] + 1e-10)
    measured = metric.evaluate(len(dataset))
    assert measured['iou'] == pytest.approx(iou.mean(), abs=1e-3)
    for r in range(5):
        assert measured[f'iou/ref{r}'] == pytest.approx(iou[r].mean(), abs=1e-3)

"""Single transfers against the reference implementation's numbers."""

import numpy as np
import pytest
import torch
from reference import numbers

from mmcoordgan.evaluation import SegTransferIoU
from mmcoordgan.evaluation.examples import arg_max
from mmcoordgan.evaluation.seg_transfer_iou import confusion_matrix, intersection_and_union
from mmcoordgan.geometry import carry

CLASSES = {'celeba': 7, 'face': 34}


@pytest.mark.parametrize('num_classes', [7, 34])
def test_intersection_and_union_of_the_reference(num_classes):
    arrays, expected = numbers('eval'), numbers('eval.json')[f'inter_and_union.{num_classes}']
    predicted = torch.from_numpy(arrays[f'iou/{num_classes}/pred']).long()[None]
    truth = torch.from_numpy(arrays[f'iou/{num_classes}/mask']).long()
    confusion = confusion_matrix(predicted, truth, num_classes)
    intersection, union = intersection_and_union(confusion[0])
    assert intersection.tolist() == expected['inter']
    assert union.tolist() == expected['union']
    with pytest.raises(ValueError, match=r'predicted must be \(K, ...\) for truth \(...\)'):
        confusion_matrix(predicted.transpose(0, 1), truth, num_classes)  # would be broadcast


@pytest.mark.parametrize('mode', ['soft', 'hard'])
@pytest.mark.parametrize('case', ['celeba.oracle32', 'face.oracle32', 'celeba.oracle128'])
def test_oracle_maps(predictions, case, mode):
    """Labels both ways, and the counts that the metric makes of them."""
    kind, size = case.split('.oracle')
    pair, case = predictions(kind, int(size)), f'pair.{case}'
    arrays, expected = numbers('eval'), numbers('eval.json')[f'{case}.{mode}']
    for direction, (source, target) in {'12': (pair[1], pair[0]), '21': pair}.items():
        soft = source['gt_soft_seg']['data'][None]
        temperature = 0.01 if mode == 'soft' else 0
        maps = source['coords'][None], target['coords'][None]
        carried = arg_max(carry(soft, *maps, temperature)[0])
        np.testing.assert_array_equal(carried[None], arrays[f'{case}/{mode}/seg{direction}'])
        image = arrays.get(f'{case}/image{direction}')
        if mode == 'soft' and image is not None:
            warped = carry(source['image'][None], *maps, temperature)
            np.testing.assert_allclose(warped, image, atol=2e-6)

    metric = SegTransferIoU(num_classes=CLASSES[kind], num_references=1, mode=mode)
    metric.process(None, pair)
    intersection, union = intersection_and_union(metric.totals[''][0])
    assert intersection.tolist() == expected['inter']
    assert union.tolist() == expected['union']
    iou = np.array(expected['inter']) / (np.array(expected['union']) + 1e-10)
    assert metric.evaluate(2)['iou'] == pytest.approx(100 * iou.mean(), abs=1e-9)

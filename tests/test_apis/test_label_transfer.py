"""Labels from references: the numbers of SegTransferIoU, at any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmcoordgan.apis.label_transfer import LabelledReferences, best_class
from mmcoordgan.evaluation import SegTransferIoU
from mmcoordgan.evaluation.examples import arg_max
from mmcoordgan.evaluation.seg_transfer_iou import confusion_matrix, iou_per_class

K, QUERIES, SIZE, T = 3, 4, 8, 0.1


def samples() -> tuple[torch.Tensor, np.ndarray]:
    coords = torch.rand(K + QUERIES, 2, SIZE, SIZE) * 2 - 1
    return coords, np.random.default_rng(0).integers(0, 4, (K + QUERIES, SIZE, SIZE))


@pytest.mark.parametrize('temperature', [T, 0.0])
def test_the_figures_of_the_evaluator(temperature):
    coords, labels = samples()
    metric = SegTransferIoU(
        num_classes=4,
        num_references=K,
        temperature=temperature or T,
        mode='soft' if temperature else 'hard',
    )
    for index in range(len(coords)):
        truth = {'data': torch.from_numpy(labels[index])[None]}
        sample = {'sample_idx': index, 'coords': coords[index], 'gt_sem_seg': truth}
        metric.process(None, [sample])
    expected = metric.evaluate(len(coords))
    truth = torch.from_numpy(labels[K:])

    def iou(references: LabelledReferences) -> float:
        found = [references.carry_to(c[None], temperature) for c in coords[K:]]
        predicted = torch.stack([best_class(soft, (SIZE, SIZE)) for soft in found])
        return float(iou_per_class(confusion_matrix(predicted[:, None], truth, 4))[0].mean())

    assert iou(LabelledReferences(coords[:K], labels[:K])) == pytest.approx(expected['fused_iou'])
    for k in range(K):
        alone = LabelledReferences(coords[k : k + 1], labels[k : k + 1])
        assert iou(alone) == pytest.approx(expected[f'iou/ref{k}'])


def test_probabilities_and_classes_of_any_number():
    coords, labels = samples()
    values = np.array([0, 9, 200, 255])[labels]
    references = LabelledReferences(coords[:K], values[:K])
    assert references.classes.tolist() == [0, 9, 200, 255]
    soft = references.carry_to(coords[K:][:1], T)
    plain = LabelledReferences(coords[:K], labels[:K]).carry_to(coords[K:][:1], T)
    assert soft.shape == (4, SIZE, SIZE) and torch.equal(soft, plain)
    assert torch.allclose(soft.sum(0), torch.ones(SIZE, SIZE), atol=1e-5)


@pytest.mark.parametrize('shape', [(SIZE, SIZE), (20, 33), (3, 5), (1, 1)])
def test_the_best_class_is_that_of_enlarged_probabilities(shape):
    soft = torch.rand(5, SIZE, SIZE)
    enlarged = F.interpolate(soft[None], shape, mode='bilinear', align_corners=False)[0]
    assert torch.equal(best_class(soft, shape), arg_max(enlarged))


def test_ties_go_to_the_lowest_class():
    assert best_class(torch.ones(3, 4, 4), (6, 7)).max() == 0

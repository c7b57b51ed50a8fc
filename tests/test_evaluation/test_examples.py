import pytest
import torch
from eval_stub import sample

from mmcoordgan.evaluation.examples import arg_max, read_example
from mmcoordgan.geometry import canonical_grid


def read(prediction, num_classes=3, coords_key='coords'):
    return read_example(prediction, coords_key=coords_key, num_classes=num_classes)


def test_ties_go_to_the_lowest_class():
    scores = torch.tensor([[1.0, 2, 0], [1, 2, 3], [0, 2, 3]])[None, :, :, None]  # 3 classes
    assert arg_max(scores.unbind(1))[0, :, 0].tolist() == [0, 0, 1]
    random = torch.randn(5, 4, 3)
    assert torch.equal(arg_max(random), random.argmax(0))


def test_soft_labels_come_before_hard_ones():
    soft = torch.tensor([0.2, 0.5, 0.3])[:, None, None].expand(3, 2, 2)
    prediction = sample(0, canonical_grid(2, 2), [[0, 0], [0, 0]], gt_soft_seg={'data': soft})
    assert torch.equal(read(prediction).labels, soft)


def test_true_coordinates_keep_their_corners():
    prediction = sample(0, canonical_grid(3, 3), gt_coords={'data': canonical_grid(5, 5)})
    torch.testing.assert_close(read(prediction).true_coords, canonical_grid(3, 3))


GRID = canonical_grid(2, 2)
LABELS = [[0, 1], [2, 0]]
ERRORS = {
    'no map': (
        {k: v for k, v in sample(0, GRID, LABELS).items() if k != 'coords'},
        r"the prediction for sample 0 has no correspondence map 'coords' \(tensors it has: none\)",
    ),
    'nan': (sample(0, GRID / 0, LABELS), r'must be \(2, H, W\) and finite'),
    'above': (
        sample(0, GRID, [[0, 1], [3, 0]], img_path='a.jpg'),
        'ground truth of a.jpg holds 3, but labels are 0..2',
    ),
    'channels': (
        sample(0, GRID, gt_soft_seg={'data': torch.zeros(4, 2, 2)}),
        r'gt_soft_seg of sample 0 must be \(3, H, W\), but is \(4, 2, 2\)',
    ),
}


@pytest.mark.parametrize('name', ERRORS)
def test_errors(name):
    prediction, message = ERRORS[name]
    with pytest.raises((KeyError, ValueError), match=message):
        read(prediction)

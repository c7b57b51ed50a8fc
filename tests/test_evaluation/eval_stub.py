"""A model that knows the truth, and the synthetic data sets whose truth it knows."""

import os
from pathlib import Path

import evaluation_data
import torch
from mmengine.model import BaseModel
from torch import nn

from mmcoordgan.registry import MODELS

DATA = Path(__file__).parents[1] / 'data' / 'reference'


def image_number(path: str) -> int:
    """The number that ``evaluation_data`` draws an image by."""
    name = os.path.splitext(os.path.basename(path))[0].replace('image_', '')
    return int(name) + (1000 if 'our_test' in path else 0)


def oracle_coords(kind: str, path: str, size: int) -> torch.Tensor:
    return torch.from_numpy(evaluation_data.oracle_warp(kind, image_number(path), size))


def write_celeba(root: Path, numbers: list[int]) -> None:
    """CelebAMask-HQ with 210 names, of which only ``numbers`` have their content."""
    evaluation_data.celeba(str(root), numbers)
    for number in range(evaluation_data.N_CELEBA):
        (root / 'CelebAMask-HQ' / 'CelebA-HQ-img' / f'{number}.jpg').touch()


@MODELS.register_module(force=True)
class OracleModel(BaseModel):
    """Predicts the maps behind the images of ``evaluation_data`` ('face', 'car', 'celeba').

    With kind 'toy', the true coordinates plus ``bias``, as ``coords``, and without as
    ``refined_coords``. The one weight, ``encoder.weight``, is 1 and multiplies ``coords``, so that
    a checkpoint with another one shows.
    """

    def __init__(self, kind: str, size: int = 32, bias: float = 0.0, **base):
        super().__init__(**base)
        self.kind, self.size, self.bias = kind, size, bias
        self.encoder = nn.Linear(1, 1, bias=False)
        nn.init.ones_(self.encoder.weight)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        assert mode == 'predict' and len(inputs) == len(data_samples)
        for sample in data_samples:
            if self.kind == 'toy':
                truth = sample.gt_coords.data
                wave = torch.sin(4 * truth.flip(0)) * self.bias
                sample.coords, sample.refined_coords = truth + wave, truth.clone()
            else:
                sample.coords = oracle_coords(self.kind, sample.img_path, self.size)
            sample.coords = sample.coords * self.encoder.weight.detach()
        return data_samples


def sample(index: int, coords, labels=None, **more) -> dict:
    """A prediction as the Evaluator hands it on; labels (H, W)."""
    made = {'sample_idx': index, 'coords': torch.as_tensor(coords, dtype=torch.float32), **more}
    if labels is not None:
        made['gt_sem_seg'] = {'data': torch.as_tensor(labels)[None]}
    return made

"""Predictions on the synthetic pictures behind the reference numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from eval_stub import evaluation_data, oracle_coords, write_celeba
from reference import numbers

from mmcoordgan.datasets import (
    CelebAMaskHQ,
    DatasetGANSegmentation,
    LoadImage,
    PackInputs,
    ResizeWithSoftLabels,
)

PAIR = (0, 7)  # entries of the data sets that the numbers for pairs are about


@pytest.fixture(scope='session')
def predictions(tmp_path_factory: pytest.TempPathFactory):
    """Function (kind, size) -> what the metrics get for the pair, oracle maps included."""
    roots: dict[str, Path] = {}

    def of_pair(kind: str, size: int) -> list[dict]:
        if kind not in roots:
            root = tmp_path_factory.mktemp(kind)
            if kind == 'celeba':
                names = numbers('eval.json')['celeba.selected_files']
                write_celeba(root, [int(names[entry][:-4]) for entry in PAIR])
                roots[kind] = root / 'CelebAMask-HQ'
            else:
                evaluation_data.datasetgan(str(root), False)
                roots[kind] = root / 'datasetgan'
        steps = [LoadImage(), ResizeWithSoftLabels(size=size), PackInputs()]
        if kind == 'celeba':
            dataset = CelebAMaskHQ(data_root=roots[kind], subset='benchmark', pipeline=steps)
        else:
            dataset = DatasetGANSegmentation(data_root=roots[kind], pipeline=steps)
        made = []
        for position, entry in enumerate(PAIR):
            packed = dataset[entry]
            prediction = packed['data_samples'].to_dict()
            coords = oracle_coords(kind, prediction['img_path'], size)
            image = packed['inputs'].float() / 127.5 - 1
            made.append({**prediction, 'sample_idx': position, 'coords': coords, 'image': image})
        return made

    return of_pair

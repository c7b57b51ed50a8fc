"""Predictions on the synthetic images behind the reference numbers."""

from pathlib import Path

import pytest
from eval_stub import oracle_coords, write_celeba
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
def predictions(tmp_path_factory: pytest.TempPathFactory, datasetgan_root: Path):
    """Function (kind, size) -> what the metrics get for the pair, oracle maps included."""
    root, names = tmp_path_factory.mktemp('celeba'), numbers('eval.json')['celeba.selected_files']
    write_celeba(root, [int(names[entry][:-4]) for entry in PAIR])

    def of_pair(kind: str, size: int) -> list[dict]:
        steps = [LoadImage(), ResizeWithSoftLabels(size=size), PackInputs()]
        if kind == 'celeba':
            settings = dict(data_root=root / 'CelebAMask-HQ', subset='benchmark')
            dataset = CelebAMaskHQ(**settings, pipeline=steps)
        else:
            dataset = DatasetGANSegmentation(data_root=datasetgan_root, pipeline=steps)
        made = []
        for position, entry in enumerate(PAIR):
            packed = dataset[entry]
            prediction = packed['data_samples'].to_dict()
            coords = oracle_coords(kind, prediction['img_path'], size)
            image = packed['inputs'].float() / 127.5 - 1
            made.append({**prediction, 'sample_idx': position, 'coords': coords, 'image': image})
        return made

    return of_pair

"""Synthetic CelebAMask-HQ and DatasetGAN folders behind the reference numbers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).parents[1] / 'data' / 'reference'


@pytest.fixture(scope='session')
def eval_json() -> dict:
    return json.loads((DATA / 'eval.json').read_text())


@pytest.fixture(scope='session')
def eval_npz() -> dict:
    with np.load(DATA / 'eval.npz') as arrays:
        return {key: arrays[key] for key in arrays if key.startswith(('celeba/', 'datasetgan/'))}


@pytest.fixture(scope='session')
def short_sha():
    """First 16 hex digits of SHA-256 over uint8, as the reference's hashes."""

    def digest(values) -> str:
        content = np.ascontiguousarray(np.asarray(values), dtype=np.uint8).tobytes()
        return hashlib.sha256(content).hexdigest()[:16]

    return digest


@pytest.fixture(scope='session')
def celeba_root(tmp_path_factory, eval_json) -> Path:
    """210 image names, of which entries 0, 5 and 50 of the benchmark have their content."""
    import evaluation_data

    root = tmp_path_factory.mktemp('celeba')
    numbers = [int(eval_json['celeba.selected_files'][entry][:-4]) for entry in (0, 5, 50)]
    evaluation_data.range = lambda count: numbers  # the only loop of celeba()
    try:
        evaluation_data.celeba(str(root), False)
    finally:
        del evaluation_data.range
    for number in range(evaluation_data.N_CELEBA):
        (root / 'CelebAMask-HQ' / 'CelebA-HQ-img' / f'{number}.jpg').touch()
    return root / 'CelebAMask-HQ'


@pytest.fixture(scope='session')
def datasetgan_root(tmp_path_factory) -> Path:
    import evaluation_data

    root = tmp_path_factory.mktemp('datasetgan')
    evaluation_data.datasetgan(str(root), False)
    return root / 'datasetgan'

"""Synthetic CelebAMask-HQ and DatasetGAN folders behind the reference numbers."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from eval_stub import write_celeba
from reference import numbers


@pytest.fixture(scope='session')
def eval_json() -> dict:
    return numbers('eval.json')


@pytest.fixture(scope='session')
def eval_npz() -> dict:
    return numbers('eval')


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
    root = tmp_path_factory.mktemp('celeba')
    names = eval_json['celeba.selected_files']
    write_celeba(root, [int(names[entry][:-4]) for entry in (0, 5, 50)])
    return root / 'CelebAMask-HQ'

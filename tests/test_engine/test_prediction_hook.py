"""PredictionHook warns of maps that are missing, and writes whole archives only."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement

from mmcoordgan.engine.hooks.prediction import PredictionHook


def predict(hook: PredictionHook, value: float, indices=(1, 0)) -> list[str]:
    """Test two images, the second first, whose maps are ``value`` and its double.

    Returns:
        Warnings.
    """
    told: list[str] = []
    run = SimpleNamespace(logger=SimpleNamespace(warning=told.append))
    run.test_dataloader = SimpleNamespace(dataset=range(2))
    hook.before_test_epoch(run)
    for index in indices:
        output = BaseDataElement(metainfo=dict(sample_idx=index))
        output.coords = torch.full((2, 3, 3), value * (index + 1))
        hook.after_test_iter(run, 1 - index, outputs=[output])
    hook.after_test_epoch(run)
    return told


def test_maps_are_not_lost_without_a_word(tmp_path):
    hook = PredictionHook(str(tmp_path / 'maps.npz'))
    assert predict(hook, 1.0) == []
    (told,) = predict(hook, 1.0, indices=(0, 0))  # of two data sets, each counting from 0
    assert 'holds maps of 1 of 2 samples: their sample_idx repeat' in told


def test_a_full_disk_leaves_the_maps_of_before(tmp_path, monkeypatch):
    hook = PredictionHook(str(tmp_path / 'maps.npz'))
    predict(hook, 1.0)
    before = (tmp_path / 'maps.npz').read_bytes()

    def fill_disk(file, **arrays):
        file.write(b'half an archive')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(np, 'savez', fill_disk)
    with pytest.raises(OSError, match='No space left'):
        predict(hook, 5.0)
    assert (tmp_path / 'maps.npz').read_bytes() == before
    assert os.listdir(tmp_path) == ['maps.npz']

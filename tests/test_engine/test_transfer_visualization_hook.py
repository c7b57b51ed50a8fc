import os
from types import SimpleNamespace

import cv2
import numpy as np
import torch
from mmengine.structures import BaseDataElement, PixelData

from mmcoordgan.engine import PredictionHook, TransferVisualizationHook
from mmcoordgan.geometry import canonical_grid
from mmcoordgan.visualization import coords_to_colors
from mmcoordgan.visualization.grids import CAPTION, MARGIN

META = {'classes': ('a', 'b'), 'palette': [[0, 0, 0], [250, 0, 0]], 'ignore_index': 255}


def batch(*indices: int, labelled: bool = True):
    outputs = []
    for index in indices:
        output = BaseDataElement(metainfo=dict(sample_idx=index))
        output.coords = canonical_grid(8, 8) * 0.5
        if labelled:
            labels = torch.ones(1, 8, 8, dtype=torch.int64)
            labels[0, 0, 0] = 255 if index == 4 else 1
            output.gt_sem_seg = PixelData(data=labels)
        outputs.append(output)
    images = [torch.full((3, 8, 8), 10 * index, dtype=torch.uint8) for index in indices]
    return {'inputs': images}, outputs


def run(hook, tmp_path, *batches, meta=META, phase='test'):
    runner = SimpleNamespace(work_dir=str(tmp_path), iter=250, shown=[])
    runner.visualizer = SimpleNamespace(
        add_image=lambda *args, step: runner.shown.append((*args, step))
    )
    loader = SimpleNamespace(dataset=SimpleNamespace(metainfo=meta))
    setattr(runner, f'{phase}_dataloader', loader)
    getattr(hook, f'before_{phase}_epoch')(runner)
    for index, (data, outputs) in enumerate(batches):
        getattr(hook, f'after_{phase}_iter')(runner, index, data, outputs)
    if not isinstance(hook, PredictionHook):
        getattr(hook, f'after_{phase}_epoch')(runner)
    return runner


def cell(path, number, size=96):
    left = MARGIN + number * (size + MARGIN)
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return image[MARGIN : MARGIN + size, left : left + size]


def test_rows(tmp_path):
    hook = TransferVisualizationHook(max_pictures=3, num_references=2)
    run(hook, tmp_path, batch(0), batch(1, 2, 3), batch(4, 5))
    folder = tmp_path / 'pictures' / 'transfer'
    assert sorted(os.listdir(folder)) == ['00002.png', '00003.png', '00004.png']
    for query, reference in ((2, 0), (3, 1), (4, 0)):
        path = folder / f'0000{query}.png'
        assert (cell(path, 1) == 10 * query).all()
        colors = coords_to_colors(canonical_grid(8, 8) * 0.5)
        np.testing.assert_array_equal(cell(path, 2)[::12, ::12], colors)
        assert (cell(path, 3) == 10 * reference).all()  # its colours
        assert (cell(path, 5)[..., 0] > 100).all()  # painted red


def test_a_validation_draws_one_sheet_and_shows_it(tmp_path):
    hook = TransferVisualizationHook(max_pictures=3, num_references=2)
    runner = run(hook, tmp_path, batch(0, 1, 2, 3), phase='val')
    path = tmp_path / 'pictures' / 'transfer' / 'iter_000250.png'
    assert os.listdir(path.parent) == [path.name]
    ((name, image, step),) = runner.shown
    assert (name, step) == ('transfer', 250) and image.shape[0] == 2 * 98 + MARGIN + CAPTION
    np.testing.assert_array_equal(image, cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB))


def test_predictions_of_several_processes(tmp_path, monkeypatch):
    """References are seen by both processes, and written once. Maps that are lost are told."""
    path, told = tmp_path / 'maps.npz', []
    other, hook = PredictionHook(str(path)), PredictionHook(str(path))
    run(other, tmp_path, batch(0, 2))
    name = 'mmcoordgan.engine.hooks.prediction.collect_results'
    monkeypatch.setattr(name, lambda rows, size, device: [*other._rows, *rows])
    for samples in (4, 5):
        runner = run(hook, tmp_path, batch(0, 1, 3))
        runner.test_dataloader = SimpleNamespace(dataset=range(samples))
        runner.logger = SimpleNamespace(warning=told.append)
        hook.after_test_epoch(runner)
    assert len(told) == 1 and 'holds maps of 4 of 5 samples: their sample_idx repeat' in told[0]
    with np.load(path, allow_pickle=False) as maps:
        assert maps['sample_idx'].tolist() == [0, 1, 2, 3]
        assert maps['coords'].shape == (4, 2, 8, 8) and maps['img_path'].tolist() == [''] * 4

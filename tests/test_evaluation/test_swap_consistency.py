"""SwapConsistency: by hand, under MMEngine's loop, as MMagic's evaluator calls it."""

import copy
import sys
import types
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn

from mmcoordgan.evaluation import SwapConsistency
from mmcoordgan.models.losses import PerceptualDistance
from mmcoordgan.registry import METRICS

ROOT = Path(__file__).parents[2]


class MeanLoss(PerceptualDistance):
    """Distance of the mean colours."""

    def features(self, images):
        return [images.mean((2, 3))]

    def distance(self, x, y):
        return (x[0] - y[0]).abs().mean(1)


class Faces(nn.Module):
    """Says by the first channel which of two faces an image shows."""

    def extract_feats(self, images):
        face = (images[:, 0].mean((1, 2)) > 0).long()
        return torch.eye(2)[face]


def sample(fake: float, texture: float, structure: float) -> dict:
    values = dict(fake_img=fake, texture_swap_img=texture, structure_swap_img=structure)
    return {name: torch.full((3, 4, 4), value) for name, value in values.items()}


def test_distances_by_hand():
    metric = SwapConsistency(MeanLoss(), identity=Faces())
    metric.process(None, [sample(0.5, 0.25, -0.5), sample(0.5, -0.5, 0.5)])
    metric.process(None, [sample(-0.5, -0.25, 0.5)])
    assert metric.evaluate(3) == pytest.approx(
        {
            'swap/texture_swap_Mean': (0.25 + 1 + 0.25) / 3,
            'swap/structure_swap_Mean': (1 + 0 + 1) / 3,
            # of nine pairs: 0.25 < 1 four times, 1 = 1 twice
            'swap/AUC_Mean': (4 + 0.5 * 2) / 9,
            'swap/texture_swap_identity': 1 / 3,
            'swap/structure_swap_identity': 2 / 3,
        }
    )


def runner(tmp_path: Path, batch_size: int) -> Runner:
    cfg = Config.fromfile(ROOT / 'configs' / 'coordgan' / 'toyfaces_32.py')
    cfg.work_dir = str(tmp_path)
    cfg.test_dataloader.batch_size = batch_size
    cfg.test_dataloader.dataset.length = 5
    cfg.default_hooks = cfg.custom_hooks = None
    return Runner.from_cfg(cfg)


def test_loops_and_batches_agree(tmp_path):
    run = runner(tmp_path, 2)
    found = run.test()
    assert sorted(found) == [
        'swap/AUC_StructureTensor',
        'swap/structure_swap_StructureTensor',
        'swap/texture_swap_StructureTensor',
    ]
    # MMagic's evaluator: the metric sends the requests, in batches of another size.
    perceptual = dict(type='StructureTensorLoss')
    metric = METRICS.build(dict(type='SwapConsistency', perceptual=perceptual, num_samples=5))
    loader = types.SimpleNamespace(batch_size=3)
    metric.prepare(run.model, loader)
    for request in metric.get_metric_sampler(run.model, loader, [metric]):
        metric.process(request, run.model.test_step(request))
    assert metric.evaluate() == pytest.approx(found, rel=1e-4)


def requests(monkeypatch, rank: int, processes: int) -> list[int]:
    """The seeds that one of several processes asks for."""
    name = 'mmcoordgan.integrations.mmagic.get_dist_info'
    monkeypatch.setattr(name, lambda: (rank, processes))
    metric = SwapConsistency(MeanLoss(), num_samples=5, seed=3)
    sampler = metric.get_metric_sampler(None, types.SimpleNamespace(batch_size=2), [metric])
    return [int(seed) for request in sampler for seed in request['inputs']['swap_seed']]


def test_processes_share_the_requests_of_one(monkeypatch):
    alone = requests(monkeypatch, 0, 1)
    assert len(set(alone)) == 5
    ranks = [requests(monkeypatch, rank, 2) for rank in range(2)]
    assert len(ranks[0]) == len(ranks[1])
    # MMEngine collects results in turn, and drops what exceeds the number of samples.
    assert [seed for turn in zip(*ranks) for seed in turn][:5] == alone


def test_errors(monkeypatch, tmp_path):
    metric = SwapConsistency(MeanLoss())
    with pytest.raises(ValueError, match=r"no texture_swap_img.*type='SwapSeeds'"):
        metric.process(None, [{'fake_img': torch.zeros(3, 4, 4)}])
    identity = dict(type='mmagic.IDLossModel', ir_se50_weights=str(tmp_path / 'no.pth'))
    with pytest.raises(FileNotFoundError, match=r'identity.ir_se50_weights: there is no file'):
        SwapConsistency(MeanLoss(), identity=copy.deepcopy(identity))
    monkeypatch.setitem(sys.modules, 'mmagic', None)
    monkeypatch.setitem(sys.modules, 'mmagic.models.editors.arcface.id_loss', None)
    identity.pop('ir_se50_weights')
    with pytest.raises(ImportError, match=r'IDLossModel cannot be imported .*"With MMagic" in'):
        SwapConsistency(MeanLoss(), identity=identity)

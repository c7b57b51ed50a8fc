"""What the inferencer refuses, and what it takes from configs and checkpoints."""

import os

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement
from PIL import Image
from tiny_inversion import EVALUATOR, SIZE, STAGE2, labels, pictures, write_checkpoint

from mmcoordgan.apis import CoordGANInferencer
from mmcoordgan.datasets import BrokenImageError
from mmcoordgan.registry import INFERENCERS


def test_as_mmengine_calls_it(stage2, inferencer, tmp_path):
    images = pictures(3)
    found = inferencer(images, batch_size=2, return_vis=True)
    assert len(found['predictions']) == len(found['visualization']) == 3
    expected = inferencer.encode(images)[2]
    assert np.allclose(found['predictions'][2]['coords'], expected.coords, atol=1e-5)
    assert found['visualization'][0].ndim == 3
    samples = inferencer(images[0], return_datasamples=True)['predictions']
    assert isinstance(samples[0], BaseDataElement) and samples[0].coords.shape == (2, SIZE, SIZE)
    Image.fromarray(images[0]).save(tmp_path / 'a.png')
    assert len(inferencer(str(tmp_path))['predictions']) == 1
    built = INFERENCERS.build(dict(type='mmcoordgan.CoordGANInferencer', model=stage2))
    assert isinstance(built, CoordGANInferencer)


def test_config_and_weights_in_mmengines_order(stage2, tmp_path):
    content = torch.load(stage2, weights_only=True)
    torch.save({'state_dict': content['state_dict']}, tmp_path / 'bare.pth')
    whole = {'model': STAGE2}
    Config(whole).dump(tmp_path / 'config.py')
    for config in (str(tmp_path / 'config.py'), Config(whole), whole):
        found = CoordGANInferencer(config, tmp_path / 'bare.pth', device='cpu')
        assert found.networks.encoder is not None
        assert found.temperature == pytest.approx(0.01 * 128 / SIZE)  # it evaluates nothing
    assert CoordGANInferencer(weights=stage2).networks.encoder is not None
    for alone in (tmp_path / 'config.py', whole, None):
        with pytest.raises(ValueError, match='a checkpoint is needed: CoordGANInferencer'):
            CoordGANInferencer(alone)


def test_nothing_that_a_checkpoint_names_is_built_or_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(CoordGANInferencer, '_load_weights_to_model', pytest.fail)
    monkeypatch.setattr(torch.hub, 'download_url_to_file', pytest.fail)
    address = 'http://attacker.example/vgg.pth'
    for number, (perceptual, message) in enumerate(
        (
            (dict(type='LPIPSLoss', vgg_weights=address), 'which a checkpoint may not choose'),
            (dict(type='torch.nn.Linear'), 'by Linear, by which codes cannot'),
            (dict(type='StructureTensorLoss', num_scales=10**9), 'num_scales of .* must be 1..16'),
            (None, 'by None, by which codes cannot'),
        )
    ):
        path = tmp_path / f'{number}.pth'
        write_checkpoint(path)
        content = torch.load(path, weights_only=True)
        content['meta']['cfg'] = Config({'model': {**STAGE2, 'perceptual': perceptual}}).pretty_text
        torch.save(content, path)
        inferencer = CoordGANInferencer(path, device='cpu', show_progress=False)
        inferencer.encode(pictures(1))
        with pytest.raises(ValueError, match=message):
            inferencer.iter_encode(pictures(1), refine=2)  # before anything is read
    with pytest.raises(FileNotFoundError, match='mine'):
        inferencer = CoordGANInferencer(
            tmp_path / '0.pth', device='cpu', vgg_weights='mine.pth', show_progress=False
        )
        inferencer.iter_encode(pictures(1), refine=2)


def test_errors_come_at_the_call(sampler, stage2, inferencer, tmp_path):
    image, mask = pictures(1, 20, 50)[0], labels(1, 20, 50)[0]
    for call, message in (
        (lambda: sampler.iter_interpolate(image, 2), 'has no encoder: it can only'),
        (lambda: inferencer.iter_encode(image, batch_size=0), 'batch_size must be at least 1'),
        (lambda: inferencer.iter_encode(image, refine=10**6), r'refinement takes 0\.\.10000 steps'),
        (
            lambda: inferencer.iter_transfer_labels(image, mask.T, image),
            r'the mask of reference 0 is 20x50 \(width x height\), but reference 0 is 50x20',
        ),
        (lambda: inferencer.iter_transfer_labels([image], [mask] * 2, image), '1 references came'),
        (
            lambda: inferencer.iter_transfer_labels(image, mask, image, ignore_label=300),
            r'must lie in 0\.\.255, but is 300',
        ),
        (lambda: inferencer.iter_transfer_points(image, [1, 2], image), r'array \(N, 2\)'),
        (lambda: inferencer.iter_transfer_points(image, [[50, 2]], image), r'\(50, 2\) is outside'),
        (lambda: sampler.iter_sample(1, seed=-1), 'a seed must be an integer'),
        (lambda: sampler.iter_sample(1, truncation=float('nan')), 'truncation must be'),
        (lambda: sampler.iter_interpolate(1, 2, frames=1), 'frames must be at least 2'),
        (lambda: sampler.iter_interpolate(1, 2, part='pose'), 'part must be one of'),
        (
            lambda: CoordGANInferencer(stage2, vgg_weights='x').iter_encode(image, refine=2),
            r'without VGG16: drop vgg_weights \(--vgg-weights\)',
        ),
        (
            lambda: CoordGANInferencer(stage2, vgg_weights='x').iter_encode(image, refine=-1),
            'needs steps >= 0',
        ),
        (
            lambda: CoordGANInferencer(stage2, temperature=-1),
            'temperature must be 0 or >= 1e-06, not -1',
        ),
        (lambda: CoordGANInferencer(stage2, temperature=np.nan), ', not nan'),
        (lambda: CoordGANInferencer(stage2, device='cuda:7'), 'device cuda:7 is not available'),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(BrokenImageError, match=r'none\.png'):
        inferencer.encode(tmp_path / 'none.png')
    assert os.listdir(tmp_path) == []


def test_arrays_are_called_what_they_are(inferencer):
    good, bad, mask = pictures(1)[0], pictures(1)[0].astype(float), labels(1)[0]
    for call, name in (
        (lambda: inferencer.correspond(bad, good), 'image a'),
        (lambda: inferencer.correspond(good, bad), 'image b'),
        (lambda: inferencer.transfer_labels([good, bad], [mask] * 2, good), 'reference 1'),
        (lambda: inferencer.transfer_labels(good, mask, [good, bad]), 'image 1'),
        (lambda: inferencer.transfer_points(bad, [[1, 2]], good), 'the reference'),
        (lambda: inferencer.swap_texture(good, [good, bad]), 'texture 1'),
        (lambda: inferencer.swap_texture([good, bad], good), 'image 1'),
        (lambda: inferencer.interpolate(bad, good), 'start'),
        (lambda: inferencer.interpolate(good, bad), 'end'),
    ):
        with pytest.raises(ValueError, match=rf'^{name} must be an array \(H, W, 3\) of uint8'):
            call()


def test_the_temperature_of_the_config(tmp_path):
    published = 0.01 * 128 / SIZE
    hostile = {**EVALUATOR, 'temperature': ['x'] * 9, 'reference_size': 10**12}
    for number, (evaluator, expected) in enumerate(
        (
            (EVALUATOR, 0.05),
            ([{'type': 'KeypointTransferPCK'}, {**EVALUATOR, 'reference_size': 4 * SIZE}], 0.2),
            ({'type': 'mmcoordgan.SegTransferIoU'}, 0.01),
            ({**EVALUATOR, 'mode': 'hard'}, 0.0),
            (hostile, published),
            ({**EVALUATOR, 'temperature': 'x'}, published),
            ({**EVALUATOR, 'temperature': -1}, published),
            ({**EVALUATOR, 'temperature': 10**400}, published),
            ('nothing', published),
        )
    ):
        write_checkpoint(tmp_path / f'{number}.pth', test_evaluator=evaluator)
        found = CoordGANInferencer(tmp_path / f'{number}.pth', device='cpu')
        assert found.temperature == pytest.approx(expected), evaluator
    write_checkpoint(tmp_path / 'x.pth', test_evaluator={**EVALUATOR, 'temperature': 1e-12})
    with pytest.raises(ValueError, match=r', not 1e-12 from the config of .*x\.pth'):
        CoordGANInferencer(tmp_path / 'x.pth', device='cpu')
    assert CoordGANInferencer(tmp_path / 'x.pth', device='cpu', temperature=0).temperature == 0

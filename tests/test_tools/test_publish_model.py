"""tools/model_converters/publish_model.py, and models that come with the package."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.hub import hub
from PIL import Image
from tiny_inversion import EVALUATOR, STAGE2, labels, pictures, write_checkpoint

from mmcoordgan import zoo
from mmcoordgan.apis import CoordGANInferencer, calibration, list_models, load_trained
from mmcoordgan.evaluation import SegTransferIoU
from mmcoordgan.geometry import move_to_template
from mmcoordgan.models.losses.feature_template import FeatureTemplate
from mmcoordgan.models.networks import DenseEncoder
from mmcoordgan.models.networks.imagenet_features import ImageNetFeatures
from mmcoordgan.models.networks.template_encoder import template_features
from mmcoordgan.models.pretrained import part_of

TOOL = 'model_converters/publish_model.py'
CARD = dict.fromkeys(('data', 'terms', 'config', 'command', 'figures', 'seeds'), 'as in the test')


@pytest.fixture
def publish(run_tool, tmp_path):
    """Write a tiny checkpoint, publish it and return both paths."""

    def run(model: dict = STAGE2, *options) -> tuple[Path, Path]:
        trained, small = tmp_path / 'trained.pth', tmp_path / 'tiny.pth'
        settings = dict(test_evaluator=EVALUATOR, work_dir='/home/me')
        write_checkpoint(trained, model, **settings)
        content = torch.load(trained)
        content['optimizer'] = torch.ones(1000)
        torch.save(content, trained)
        (tmp_path / 'card.yml').write_text(yaml.safe_dump(CARD))
        run_tool(TOOL, trained, small, '--card', 'card.yml', *options)
        return trained, small

    return run


@pytest.fixture
def bundled(publish, monkeypatch, tmp_path):
    """A published model that comes with the package as 'tiny'."""
    monkeypatch.setattr(zoo, 'FOLDER', tmp_path)
    trained, _ = publish()
    trained.rename(tmp_path / 'trained.pt')


def iou(model: Path) -> float:
    """Label transfer from one random image to eleven."""
    inferencer = CoordGANInferencer(weights=model, device='cpu', show_progress=False)
    metric = SegTransferIoU(num_classes=3, num_references=1, temperature=inferencer.temperature)
    evaluator = Evaluator([metric])
    for index, (image, mask) in enumerate(zip(pictures(12), labels(12))):
        coords = torch.from_numpy(inferencer.encode(image)[0].coords)
        truth = {'data': torch.from_numpy(mask.astype(np.int64))[None]}
        evaluator.process([{'sample_idx': index, 'coords': coords, 'gt_sem_seg': truth}])
    return evaluator.evaluate(12)['iou']


def test_published_model_gives_the_numbers_of_its_checkpoint(publish, capsys):
    trained, small = publish()
    assert iou(small) == pytest.approx(iou(trained), abs=0.2)
    content = torch.load(small, weights_only=True)
    assert content['card'] == CARD
    assert 'optimizer' not in content and 'work_dir' not in content['meta']['cfg']
    kinds = {t.dtype for t in content['state_dict'].values() if t.dim() > 1}
    assert kinds == {torch.float16}
    assert {name.split('.')[0] for name in content['state_dict']} == {'generator', 'encoder'}
    assert os.path.getsize(small) < os.path.getsize(trained)
    loaded, before = load_trained(small), load_trained(trained)
    assert loaded.refinement == before.refinement and loaded.temperature == before.temperature
    assert f'{small}: ' in capsys.readouterr().out


def test_the_averaged_encoder_is_published(publish):
    """A dense one, without structure codes."""
    dense = dict(type='DenseEncoder', input_size=16, texture_width=5, channels=(4, 8))
    trained, small = publish({**STAGE2, 'encoder': dense, 'refinement': None, 'ema_decay': 0.9})
    state = torch.load(trained)['state_dict']
    average = part_of(state, 'encoder_ema')
    assert not torch.equal(average['to_map.bias'], part_of(state, 'encoder')['to_map.bias'])
    for path in (trained, small):
        found = load_trained(path).encoder.state_dict()
        assert all(torch.allclose(found[k], v, rtol=1e-3, atol=1e-6) for k, v in average.items())


def test_a_template_becomes_part_of_the_encoder(publish, tmp_path, capsys):
    """Learned from images; maps are moved as by the loss that learns such templates."""
    torch.manual_seed(0)
    trunk = ImageNetFeatures('lite0')
    weights = dict(trunk.named_buffers())
    file = tmp_path / 'lite0.pth'
    torch.save(unfolded(weights), file)
    (tmp_path / 'faces').mkdir()
    for number, image in enumerate(pictures(16)):
        Image.fromarray(image).resize((192, 192)).save(tmp_path / f'faces/{number:02}.png')
    model = dict(
        STAGE2,
        encoder=dict(type='DenseEncoder', input_size=16, texture_width=5, channels=(4, 8)),
        perceptual=dict(type='StructureTensorLoss'),
        losses=dict(equivariance=dict(type='EquivarianceLoss', aligned=9, mirror=True)),
        refinement=None,
        ema_decay=0.9,
    )
    features = ('--features', file)
    for given, options, message in (
        (STAGE2, ['faces'], 'needs --features FILE'),
        (STAGE2, ['faces', *features], 'needs a checkpoint with a DenseEncoder'),
        (model, ['faces/00.png', *features], 'needs some hundred images, but got 1'),
    ):
        with pytest.raises(SystemExit):
            publish(given, '--template', *options)
        assert f'--template {message}' in capsys.readouterr().err
    _, small = publish(model, '--template', 'faces', *features)
    assert 'StructureTensorLoss' not in torch.load(small)['meta']['cfg']  # it may name a file
    networks = load_trained(small)
    encoder = networks.encoder
    assert encoder.mirror and encoder.map_size == 32
    for name, value in weights.items():
        torch.testing.assert_close(encoder.trunk.get_buffer(name), value, rtol=1e-3, atol=1e-3)
    paths = sorted((tmp_path / 'faces').glob('*.png'))
    images = torch.from_numpy(np.stack([np.asarray(Image.open(p)) for p in paths]))
    images = images.permute(0, 3, 1, 2) / 127.5 - 1
    seen = F.interpolate(images, (16, 16), mode='bilinear', antialias=True)
    dense, mirrored = (DenseEncoder.forward(encoder, x).coords for x in (seen, seen.flip(-1)))
    torch.testing.assert_close(networks.quick_maps(images), dense)
    dense = (dense + mirrored.flip(-1) * torch.tensor([-1, 1]).view(2, 1, 1)) / 2
    features = template_features(trunk(images * 127.5 / 128))
    expected = fine = F.interpolate(dense, (32, 32), mode='bilinear', align_corners=True)
    for _ in range(2):  # the mean at the maps, then at the moved maps
        template = FeatureTemplate(80, dims=44, focus=2.0)
        template.update(features, expected, weight=1)
        template.fit()
        reduced = torch.einsum('dc,bchw->bdhw', template.projection, features)
        moves = dict(strength=0.4, spread=0.12, window=0.85, smoothing=1 / 24, focus=1.0)
        expected = move_to_template(reduced, template.sharp, fine, **moves)
    moved, wrong = ((expected - x).abs().mean() for x in (fine, encoder(images).coords))
    assert moved > 0.02 and wrong < 0.2 * moved  # half precision


def unfolded(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights as EfficientNet-Lite0's file has them, with batch norms that only add a bias."""
    state = {}
    for name, value in weights.items():
        _, block, layer, kind = name.split('.')
        number = {'0': 0, 'expand': 0, 'depthwise': 1, 'project': 2}[layer]
        at = '' if block == '0' else f'_blocks.{int(block) - 1}.'
        if kind == 'weight':
            conv = f'_{layer}_conv' if at else '_conv_stem'
            state[f'{at}{conv}.weight'] = value
            continue
        state[f'{at}_bn{number}.bias'] = value
        state[f'{at}_bn{number}.weight'] = torch.ones_like(value)
        state[f'{at}_bn{number}.running_mean'] = torch.zeros_like(value)
        state[f'{at}_bn{number}.running_var'] = torch.full_like(value, 1 - 1e-3)
    return state


def test_what_the_model_knows(publish, run_tool, tmp_path, monkeypatch):
    """Quantiles of held-out images; a published file is published again with its card."""
    _, small = publish()
    (tmp_path / 'faces').mkdir()
    for number, image in enumerate(pictures(6)):
        Image.fromarray(image).save(tmp_path / f'faces/{number}.png')
    assert load_trained(small).held_out is None
    monkeypatch.setattr(calibration, 'NUM_TOYS', 8)
    run_tool(TOOL, small, 'again.pth', '--held-out', 'faces', 'toyfaces')
    assert torch.load('again.pth')['card'] == CARD
    quantiles, doubts, errors = load_trained('again.pth').held_out
    assert len(quantiles) == 101 and list(quantiles) == sorted(quantiles)
    assert len(doubts) == len(errors) == 16 and doubts[0] < doubts[-1] and errors[-1] > 0
    inferencer = CoordGANInferencer('again.pth', device='cpu', show_progress=False)
    scores = [found.domain.score for found in inferencer.iter_encode('faces')]
    assert quantiles[0] <= min(scores) and max(scores) <= quantiles[-1] and min(scores) > 0


def test_an_incomplete_card_is_refused(refused):
    Path('card.yml').write_text('data: faces\n')
    error = refused(TOOL, 'toyfaces_32', 'out.pth', '--card', 'card.yml')
    assert 'does not say: terms, config, command, figures, seeds' in error


def test_bundled_models_are_found_by_name(bundled):
    assert list_models() == ['tiny']
    assert zoo.model_card('tiny') == CARD
    assert load_trained('tiny').encoder is not None
    inferencer = CoordGANInferencer('tiny', device='cpu')
    assert inferencer.encode(pictures(1)[0])[0].coords.shape == (2, 16, 16)
    with pytest.raises(ValueError, match='no bundled model large; bundled are: tiny'):
        zoo.model_card('large')


def test_hub(bundled, monkeypatch):
    """``mmengine.hub.get_model(..., pretrained=True)`` with ``Weights: mmcoordgan://tiny``."""
    config = Config({'model': {**STAGE2, 'ema_decay': 0.9}, 'model_path': 'mmcoordgan://tiny'})
    monkeypatch.setattr(hub, 'get_config', lambda *_: config)
    model = hub.get_model('mmcoordgan::coordgan/tiny.py', pretrained=True)
    expected = load_trained('tiny').encoder.state_dict()
    for encoder in (model.encoder, model.encoder_ema):
        found = encoder.state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_bundled_files_are_small():
    """At most 4 MiB together, each with a complete card."""
    assert sum(path.stat().st_size for path in zoo.FOLDER.glob('*.pth')) <= 4 * 2**20
    for name in list_models():
        assert set(CARD) <= set(zoo.model_card(name))
        load_trained(name)

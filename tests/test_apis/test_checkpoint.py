"""load_trained: networks out of a checkpoint alone, and nothing else out of it."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from tiny_inversion import STAGE1, STAGE2, write_checkpoint

from mmcoordgan.apis import load_trained
from mmcoordgan.apis.checkpoint import ALLOWED
from mmcoordgan.models.networks import CoordGANEncoder
from mmcoordgan.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'configs' / 'coordgan'


def test_stage_1_gives_the_averaged_generator(tmp_path):
    model = write_checkpoint(tmp_path / 'x.pth', STAGE1)
    trained = load_trained(tmp_path / 'x.pth')
    assert trained.encoder is None and not trained.generator.training
    codes = torch.randn(2, 4), torch.randn(2, 4)
    averaged = model.sample(*codes)[0]
    assert torch.equal(trained.generator(*codes), averaged)
    assert not torch.equal(model.sample(*codes, use_ema=False)[0], averaged)


def test_a_work_dir_stands_for_its_last_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match='is a folder without checkpoints'):
        load_trained(tmp_path)
    write_checkpoint(tmp_path / 'iter_7.pth', STAGE1)
    (tmp_path / 'last_checkpoint').write_text('elsewhere/iter_7.pth')
    assert load_trained(tmp_path).source == str(tmp_path / 'iter_7.pth')


def test_a_config_file_helps_a_checkpoint_without_one(untrained, tmp_path):
    content = torch.load(untrained['toyfaces_32'], weights_only=True)
    torch.save({**content, 'meta': {'cfg': ''}}, tmp_path / 'x.pth')
    (tmp_path / 'bad.py').write_text('model = dict(')
    for config, message in (
        (None, r'x\.pth cannot be used: the config has no model'),
        (CONFIGS / 'celeba_128.py', 'generator does not fit: '),
        (tmp_path / 'bad.py', 'SyntaxError'),
        ('no.py', 'does not exist'),
    ):
        with pytest.raises(ValueError, match=message):
            load_trained(tmp_path / 'x.pth', config)
    for config in (CONFIGS / 'toyfaces_32.py', 'coordgan/toyfaces_32.py'):
        assert load_trained(tmp_path / 'x.pth', config).encoder is None


def test_what_is_no_checkpoint(tmp_path):
    torch.save(torch.zeros(1), tmp_path / 'tensor.pth')
    torch.save({'g_ema': {}}, tmp_path / 'official.pth')
    (tmp_path / 'text.pth').write_text('hello')
    torch.save({'state_dict': {'encoder.weight': torch.zeros(1)}}, tmp_path / 'bare.pth')
    for name, message in {
        'tensor': r'tensor\.pth holds no state_dict.*official_to_mm',
        'official': r'official\.pth holds no state_dict',
        'text': r'text\.pth cannot be read',
        'bare': 'does not hold its config',
    }.items():
        with pytest.raises(ValueError, match=message):
            load_trained(tmp_path / f'{name}.pth')


MKDIR = "dict(type='os.mkdir', path='executed')"
GENERATOR = "model = dict(generator=dict(type='CoordGANGenerator', {}))"
NOT_ALLOWED = 'its generator is a .*, not a CoordGANGenerator'
HOSTILE = {
    'a program': ('import os\nos.mkdir("executed")\nmodel = dict(generator=dict())', ''),
    'a function by its name': (f'model = dict(generator={MKDIR})', NOT_ALLOWED),
    'another network': ("model = dict(generator=dict(type='StyleGAN2Generator'))", NOT_ALLOWED),
    'an argument': (GENERATOR.format(f'image_size={MKDIR}'), ''),
    'nonsense': ('model = ' + '(' * 5000, ''),
    'a list': ('model = []', ''),
    'a formula': (GENERATOR.format('structure_width=2**9'), ''),
    'a network of nothing': (GENERATOR.format('structure_dim=0'), ''),
    '16 GiB': (GENERATOR.format('structure_width=65536'), 'generator does not fit: '),
}


@pytest.mark.parametrize('kind', HOSTILE)
def test_the_config_in_a_checkpoint_is_only_read(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_checkpoint(tmp_path / 'bad.pth', STAGE1)
    text, message = HOSTILE[kind]
    content = torch.load('bad.pth', weights_only=True)
    torch.save({**content, 'meta': {'cfg': text}}, 'bad.pth')
    with pytest.raises(ValueError, match=rf'bad\.pth cannot be used: .*{message}'):
        load_trained('bad.pth')
    assert not Path('executed').exists()


LAYERS = {
    'generator.mapping_layers': 10**12,
    'generator.num_levels': 200_000,
    'generator.image_size': 2**200_000,
    'generator.base_resolution': 4096,  # adds no layer where num_levels is given
    'encoder.num_texture_codes': 200_000,
    'encoder.map_size': 4096,
    'encoder.window': 1e9,
    'encoder.channels': [1] * 200_000,
    'encoder.texture_channels': b'\1' * 200_000,
}


def test_no_network_is_larger_than_its_file(stage2):
    """It would take minutes, or all memory, to build or to run."""
    for setting, value in LAYERS.items():
        cfg = Config({'model': STAGE2})
        cfg.merge_from_dict({f'model.{setting}': value})
        reason = rf'the setting model\.{setting} of its config is above '
        with pytest.raises(ValueError, match=rf'x\.pth cannot be used: {reason}'):
            load_trained(stage2, cfg)


def test_no_network_has_more_bytes_than_its_file(tmp_path):
    """Its tensors may repeat one number."""
    write_checkpoint(tmp_path / 'x.pth', STAGE1)
    content = torch.load(tmp_path / 'x.pth', weights_only=True)
    large = torch.zeros(1).expand((tmp_path / 'x.pth').stat().st_size // 5)
    content['state_dict'].update({'generator_ema.a': large, 'generator_ema.b': large})
    torch.save(content, tmp_path / 'x.pth')
    with pytest.raises(ValueError, match=r'its generator claims \d+ bytes, but the file has '):
        load_trained(tmp_path / 'x.pth')


def test_classes_must_be_allowed(tmp_path, monkeypatch):
    """One that is registered loads if it is on the list, or if you give the config."""

    class MyEncoder(CoordGANEncoder):
        pass

    monkeypatch.setitem(MODELS.module_dict, 'MyEncoder', MyEncoder)
    monkeypatch.setitem(ALLOWED, 'encoder', {'CoordGANEncoder'})
    model = {**STAGE2, 'encoder': {**STAGE2['encoder'], 'type': 'MyEncoder'}}
    write_checkpoint(tmp_path / 'x.pth', model)
    with pytest.raises(ValueError, match='its encoder is a MyEncoder, not a CoordGANEncoder'):
        load_trained(tmp_path / 'x.pth')
    given = load_trained(tmp_path / 'x.pth', Config({'model': model}))
    assert isinstance(given.encoder, MyEncoder)
    ALLOWED['encoder'].add('MyEncoder')
    assert isinstance(load_trained(tmp_path / 'x.pth').encoder, MyEncoder)

"""load_trained: networks out of a checkpoint alone, and nothing else out of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmcoordgan.apis import load_trained
from mmcoordgan.apis.checkpoint import ALLOWED
from mmcoordgan.apis.plain_config import read_setting
from mmcoordgan.models.networks import CoordGANEncoder
from mmcoordgan.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'configs' / 'coordgan'


def checkpoint(path: Path, stage: int, **meta: str) -> torch.nn.Module:
    """Write an untrained toy model to ``path``; its weights are random, not a new model's."""
    cfg = Config.fromfile(CONFIGS / ('toyfaces_32.py' if stage == 1 else 'toyfaces_32_encoder.py'))
    with MODELS.switch_scope_and_registry('mmcoordgan') as registry:
        model = registry.build(cfg.model)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    meta = meta or {'cfg': cfg.pretty_text}
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, path)
    return model.eval()


def test_stage_1_gives_the_averaged_generator(tmp_path):
    model = checkpoint(tmp_path / 'x.pth', stage=1)
    trained = load_trained(tmp_path / 'x.pth')
    assert trained.encoder is None and not trained.generator.training
    codes = torch.randn(2, 32), torch.randn(2, 32)
    averaged = model.sample(*codes)[0]
    assert torch.equal(trained.generator(*codes), averaged)
    assert not torch.equal(model.sample(*codes, use_ema=False)[0], averaged)
    with pytest.raises(ValueError, match='stage 1 and has no encoder'):
        trained.invert(torch.zeros(1, 3, 32, 32))


def test_stage_2_inverts_as_its_model_does(tmp_path):
    model = checkpoint(tmp_path / 'x.pth', stage=2)
    trained = load_trained(tmp_path / 'x.pth')
    images = torch.rand(2, 3, 48, 48) * 2 - 1
    expected = model.predict(images)
    for name, value in trained.invert(images)._asdict().items():
        assert torch.equal(value, expected[name]), name
    assert trained.refinement == model.refinement
    assert trained.perceptual == {'type': 'StructureTensorLoss'}
    assert trained.arguments['encoder']['input_size'] == 32


def test_a_work_dir_stands_for_its_last_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match='is a folder without checkpoints'):
        load_trained(tmp_path)
    checkpoint(tmp_path / 'iter_7.pth', stage=1)
    (tmp_path / 'last_checkpoint').write_text('elsewhere/iter_7.pth')
    assert load_trained(tmp_path).source == str(tmp_path / 'iter_7.pth')


def test_a_config_file_helps_a_checkpoint_without_one(tmp_path):
    checkpoint(tmp_path / 'x.pth', stage=1, cfg='')
    with pytest.raises(ValueError, match=r'x\.pth cannot be used: the config has no model'):
        load_trained(tmp_path / 'x.pth')
    assert load_trained(tmp_path / 'x.pth', CONFIGS / 'toyfaces_32.py').encoder is None
    with pytest.raises(ValueError, match='generator does not fit: '):
        load_trained(tmp_path / 'x.pth', CONFIGS / 'celeba_128.py')


def test_what_is_no_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none\.pth does not exist'):
        load_trained(tmp_path / 'none.pth')
    torch.save(torch.zeros(1), tmp_path / 'tensor.pth')
    torch.save({'g_ema': {}}, tmp_path / 'official.pth')
    for name in ('tensor', 'official'):
        with pytest.raises(ValueError, match=rf'{name}\.pth holds no state_dict.*official_to_mm'):
            load_trained(tmp_path / f'{name}.pth')
    (tmp_path / 'text.pth').write_text('hello')
    with pytest.raises(ValueError, match=r'text\.pth cannot be read'):
        load_trained(tmp_path / 'text.pth')
    torch.save({'state_dict': {'encoder.weight': torch.zeros(1)}}, tmp_path / 'bare.pth')
    with pytest.raises(ValueError, match='does not hold its config'):
        load_trained(tmp_path / 'bare.pth')


MKDIR = "dict(type='os.mkdir', path='executed')"
GENERATOR = "dict(type='CoordGANGenerator', {})"
HOSTILE = {
    'a program': 'import os\nos.mkdir("executed")\nmodel = dict(generator=dict())',
    'a function by its name': f'model = dict(generator={MKDIR})',
    'an argument': f'model = dict(generator={GENERATOR.format("image_size=" + MKDIR)})',
    'nonsense': 'model = ' + '(' * 5000,
    'a list': 'model = []',
    'a formula': f'model = dict(generator={GENERATOR.format("structure_width=2**9")})',
}


@pytest.mark.parametrize('text', HOSTILE.values(), ids=HOSTILE)
def test_the_config_in_a_checkpoint_is_only_read(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state = {'generator_ema.x': torch.zeros(1)}
    torch.save({'state_dict': state, 'meta': {'cfg': text}}, 'bad.pth')
    with pytest.raises(ValueError, match=r'bad\.pth cannot be used: '):
        load_trained('bad.pth')
    assert not Path('executed').exists()


def test_no_network_is_larger_than_its_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = f'model = dict(generator={GENERATOR.format("structure_width=2097152")})'  # 16 TiB
    torch.save({'state_dict': {'generator.x': torch.zeros(1)}, 'meta': {'cfg': text}}, 'x.pth')
    with pytest.raises(ValueError, match=r'x\.pth cannot be used: generator does not fit: '):
        load_trained('x.pth')


LAYERS = {
    'generator.mapping_layers': 10**12,
    'generator.num_levels': 200_000,
    'generator.image_size': 2**200_000,
    'generator.base_resolution': 2**1000,
    'encoder.num_texture_codes': 200_000,
    'encoder.input_size': 2**200_000,
    'encoder.channels': [1] * 200_000,
    'encoder.texture_channels': b'\1' * 200_000,
}


@pytest.mark.parametrize('setting', LAYERS)
def test_no_network_has_more_layers_than_its_file(setting, tmp_path):
    """They would take minutes, or all memory, to build."""
    checkpoint(tmp_path / 'x.pth', stage=2)
    cfg = Config.fromfile(CONFIGS / 'toyfaces_32_encoder.py')
    cfg.merge_from_dict({f'model.{setting}': LAYERS[setting]})
    reason = rf'the setting model\.{setting} of its config asks for more layers than the file'
    with pytest.raises(ValueError, match=rf'x\.pth cannot be used: {reason} holds tensors'):
        load_trained(tmp_path / 'x.pth', cfg)


def test_no_network_has_more_bytes_than_its_file(tmp_path):
    """Its tensors may repeat one number."""
    checkpoint(tmp_path / 'x.pth', stage=1)
    content = torch.load(tmp_path / 'x.pth', weights_only=True)
    large = torch.zeros(1).expand((tmp_path / 'x.pth').stat().st_size // 5)
    content['state_dict'].update({'generator_ema.a': large, 'generator_ema.b': large})
    torch.save(content, tmp_path / 'x.pth')
    with pytest.raises(ValueError, match=r'tensors of its generator claim \d+ bytes of a file of '):
        load_trained(tmp_path / 'x.pth')


def test_a_network_of_nothing(tmp_path):
    checkpoint(tmp_path / 'x.pth', stage=1)
    cfg = Config.fromfile(CONFIGS / 'toyfaces_32.py')
    cfg.model.generator.structure_dim = 0
    with pytest.raises(ValueError, match=r'x\.pth cannot be used: '):
        load_trained(tmp_path / 'x.pth', cfg)


def test_settings_beside_the_model_are_only_read_too(tmp_path):
    text = Config.fromfile(CONFIGS / 'toyfaces_32.py').pretty_text
    checkpoint(tmp_path / 'x.pth', stage=1, cfg='test_evaluator = {[1]: 2}\n' + text)
    with pytest.raises(ValueError, match=r'x\.pth cannot be used: '):
        load_trained(tmp_path / 'x.pth')


def test_configs_are_found_by_name_and_explained(tmp_path):
    checkpoint(tmp_path / 'x.pth', stage=1, cfg='')
    assert load_trained(tmp_path / 'x.pth', 'coordgan/toyfaces_32.py').encoder is None
    (tmp_path / 'bad.py').write_text('model = dict(')
    for name, message in ((tmp_path / 'bad.py', 'cannot be parsed'), ('no.py', 'does not exist')):
        with pytest.raises(ValueError, match=message):
            load_trained(tmp_path / 'x.pth', name)


def test_classes_must_be_allowed(tmp_path, monkeypatch):
    """One that is registered loads if it is on the list, or if you give the config."""

    @MODELS.register_module()
    class MyEncoder(CoordGANEncoder):
        pass

    monkeypatch.setitem(ALLOWED, 'encoder', {'CoordGANEncoder'})
    checkpoint(tmp_path / 'x.pth', stage=2)
    content = torch.load(tmp_path / 'x.pth', weights_only=True)
    text = content['meta']['cfg'].replace("type='CoordGANEncoder'", "type='MyEncoder'")
    torch.save({**content, 'meta': {'cfg': text}}, tmp_path / 'x.pth')
    try:
        with pytest.raises(ValueError, match='its encoder is a MyEncoder, not a CoordGANEncoder'):
            load_trained(tmp_path / 'x.pth')
        given = load_trained(tmp_path / 'x.pth', Config.fromstring(text, '.py'))
        assert isinstance(given.encoder, MyEncoder)
        ALLOWED['encoder'].add('MyEncoder')
        assert isinstance(load_trained(tmp_path / 'x.pth').encoder, MyEncoder)
    finally:
        MODELS.module_dict.pop('MyEncoder')


def test_another_generator_is_refused(tmp_path):
    text = Config.fromfile(CONFIGS / 'toyfaces_32.py').pretty_text
    text = text.replace("type='CoordGANGenerator'", "type='StyleGAN2Generator'")
    checkpoint(tmp_path / 'x.pth', stage=1, cfg=text)
    with pytest.raises(ValueError, match='its generator is a StyleGAN2Generator, not a CoordGANGe'):
        load_trained(tmp_path / 'x.pth')


def test_a_function_by_its_name_would_run(tmp_path, monkeypatch):
    """What the test above guards against: MMEngine builds whatever a type names."""
    monkeypatch.chdir(tmp_path)
    MODELS.build(read_setting(HOSTILE['a function by its name'], 'model')['generator'])
    assert Path('executed').is_dir()

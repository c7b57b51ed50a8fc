"""Checkpoints of the reference implementation: what is in them, what they compute."""

from __future__ import annotations

import functools
import pathlib
import sys
import types

import numpy as np
import pytest
import torch
from official_files import official
from reference import crops, image, numbers, relative_error, rnd

from mmcoordgan.apis import load_official_checkpoint
from mmcoordgan.apis.official_architecture import ArchitectureError, infer_discriminator
from mmcoordgan.apis.official_checkpoint import inspect_official, read_official_checkpoint

TOLERANCE = 1e-4
KINDS = ('s32', 's32_x4', 's64', 's64_x4', 'celebA_128', 'celebA_512', 'celebA_enc')


@pytest.fixture
def stored(tmp_path):
    """Function (content) -> path of a file that holds it."""

    def save(content):
        torch.save(content, tmp_path / 'official.pt')
        return tmp_path / 'official.pt'

    return save


def empty(kind: str) -> dict:
    """The tensors' shapes without their values; filters keep theirs."""
    content = {}
    for network, entries in numbers('manifest.json')[kind].items():
        content[network] = {
            name: torch.zeros(1).expand(entry['shape']) for name, entry in entries.items()
        }
    return content


@pytest.mark.parametrize('kind', KINDS)
def test_layouts_are_the_manifests(kind, monkeypatch):
    """Names, shapes, order and kinds of every tensor follow from the inferred architecture."""
    from mmcoordgan.apis import official_checkpoint

    monkeypatch.setattr(official_checkpoint, 'misfits', lambda *_: [])
    checkpoint = official_checkpoint.inspect_official(empty(kind), kind)
    for network, entries in numbers('manifest.json')[kind].items():
        layout = checkpoint.layout(network)
        assert list(layout) == list(entries)
        for name, wanted in layout.items():
            is_buffer = isinstance(wanted, torch.Tensor)
            assert is_buffer == (entries[name]['kind'] == 'buffer'), name
            assert list(wanted.shape if is_buffer else wanted) == entries[name]['shape'], name


@torch.no_grad()
def test_small_checkpoint(stored):
    """Stage 1 and encoder in one file, all against the stored outputs."""
    expected = numbers('small_s32_forward')
    networks = load_official_checkpoint(stored(official('s32')))
    assert set(networks) == {
        'generator',
        'generator_ema',
        'discriminator',
        'patch_discriminator',
        'encoder',
    }
    assert not any(network.training for network in networks.values())
    for name in ('generator', 'generator_ema'):
        generator = networks[name]
        assert all(p.requires_grad == (name == 'generator') for p in generator.parameters())
        coords = generator.warp(generator.map_structure(rnd('z_struc', (4, 32))))
        picture = generator.synthesize(coords, generator.map_texture(rnd('z_style', (4, 32))))
        assert relative_error(coords, expected['g/warp']) < TOLERANCE
        assert relative_error(picture, expected['g/image']) < TOLERANCE
    logits = networks['discriminator'](image('real', (4, 3, 32, 32)))
    assert relative_error(logits, expected['d/logits_b4']) < TOLERANCE
    patch, images = networks['patch_discriminator'], image('real', (2, 3, 32, 32))
    cuts = [patch.crop(images, crops(tag, 16)) for tag in ('ref', 'tgt')]
    assert relative_error(patch(*cuts), expected['patch/logits']) < TOLERANCE
    structure_w, texture_w = networks['encoder'](image('real', (4, 3, 32, 32)))
    assert relative_error(structure_w, expected['e/struc']) < TOLERANCE
    assert relative_error(texture_w, expected['e/style']) < TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize('size', [32, 64, 128])
def test_small_checkpoint_with_larger_pictures(stored, size):
    expected = numbers('small_s32_forward')
    networks = load_official_checkpoint(stored(official('s32_x4')))
    generator = networks['generator']
    coords = generator.warp(generator.map_structure(rnd('z_struc', (4, 32))[:2]))
    texture_w = generator.map_texture(rnd('z_style', (4, 32))[:2])
    picture = generator.synthesize(coords, texture_w, image_size=size)
    assert relative_error(picture, expected[f'g_x4/image_cur{size}']) < TOLERANCE
    logits = networks['discriminator'](image('real', (2, 3, size, size)))
    assert relative_error(logits, expected[f'd_x4/logits_cur{size}_b2']) < TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize('kind', ['s64', 's64_x4'])
def test_other_sizes(stored, kind):
    networks = load_official_checkpoint(stored(official(kind)))
    generator, discriminator = networks['generator'], networks['discriminator']
    side = 64 if kind == 's64' else 256
    assert (generator.base_resolution, generator.image_size) == (64, side)
    assert list(discriminator.from_rgb) == ['64', '128', '256']
    picture = generator(rnd('z_struc', (1, 32)), rnd('z_style', (1, 32)))
    assert picture.shape == (1, 3, side, side)
    assert discriminator(picture).shape == (1, 1)
    if kind == 's64':
        codes = networks['encoder'](picture)
        assert [c.shape[-1] for c in codes] == [32, 32] and codes[1].shape[1] == 10


def test_base_resolution_without_generator(stored):
    for kind, size in (('s32', 32), ('s32_x4', 32), ('s64_x4', 64)):
        networks = load_official_checkpoint(stored(official(kind, ['d'])))
        assert list(networks['discriminator'].from_rgb) == [str(size << k) for k in range(3)]
    content = official('s32', ['d'])
    content['d']['from_rgb.0.1.bias'] = torch.zeros(5)
    with pytest.raises(ValueError, match='do not tell the base resolution: none would fit'):
        load_official_checkpoint(stored(content))


# ------------------------------------------------------------------------ errors


def replaced(network, name, change):
    content = official('s32_x4' if network == 'x4' else 's32')
    network = 'g' if network == 'x4' else network
    if change is None:
        del content[network][name]
    elif change == 'wider':
        content[network][name] = torch.cat([content[network][name]] * 2)
    elif change == 'other':
        content[network][name] = content[network][name] + 1e-6
    elif change == 'value':
        content[network][name] = 3
    else:
        content[network][name] = torch.zeros(change)
    return content


@pytest.mark.parametrize('name', [f'conv1.{n}' for n in ('conv.weight', 'activate.bias')])
@pytest.mark.parametrize('change', [None, 'wider'])
def test_every_misfit_is_named(stored, name, change):
    """Also of tensors that sizes are inferred from."""
    for network in ('g', 'g_ema'):
        with pytest.raises(ValueError, match=rf'\(problems: 1\): {network}\.{name} ') as error:
            load_official_checkpoint(stored(replaced(network, name, change)))
        assert ('is missing' if change is None else 'needed is (') in str(error.value)


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


def widened(state, name):
    return {**state, name: torch.cat([state[name]] * 2)}


@pytest.mark.parametrize('change', [without, widened])
def test_each_tensor_is_named(change):
    """Also where few tensors show a size, so that it is not clear which of them is wrong."""
    content = official('s32')
    del content['g_ema']
    unclear = 0
    for network, state in content.items():
        for name in state:
            with pytest.raises(ValueError) as error:
                inspect_official({**content, network: change(state, name)}, 'file')
            message = str(error.value)
            if (network, name) == ('e', 'sp_fc.weight') and change is without:
                assert 'inputs of the structure head (sp_fc.weight)' in message
                continue
            assert f'{network}.{name} ' in message
            assert '(problems: 1)' in message or 'tensors disagree about' in message
            unclear += 'disagree' in message
    assert unclear < 20


@pytest.mark.parametrize(
    ('network', 'name', 'change', 'message'),
    [
        ('d', 'extra.weight', (2, 3), r'd\.extra\.weight is not in this network'),
        ('g', 'conv1.conv.weight', (16, 16, 3, 3), r'has shape \(16, 16, 3, 3\), needed is \(1, '),
        ('g', 'style.1.bias', 'value', r'g\.style\.1\.bias is no tensor, but int'),
        ('x4', 'convs.6.conv.blur.kernel', None, r'g\.convs\.6\.conv\.blur\.kernel is missing'),
        ('x4', 'to_rgbs.3.upsample.kernel', 'other', r'\(problems: 1\): g\.to_rgbs\.3.* constant'),
        ('d', 'convs.1.skip.0.kernel', 'other', r'd\.convs\.1\.skip\.0\.kernel is not the const'),
        (
            'e',
            'DownToGlobalCode.ConvLayerDownBy16.Blur.kernel',
            (3, 3),
            r'ConvLayerDownBy16\.Blur\.kernel has shape \(3, 3\), needed is \(1, 1\)',
        ),
    ],
)
def test_misfits(stored, network, name, change, message):
    with pytest.raises(ValueError, match=message):
        load_official_checkpoint(stored(replaced(network, name, change)))


@pytest.mark.parametrize(
    ('network', 'name', 'gap'),
    [
        ('g', 'style.{}.bias', 2),
        ('g', 'to_rgbs.{}.bias', 3),
        ('d_patch', 'convs.{}.conv1.Act.bias', 5),
        ('e', 'ToGlobalCode.{}.weight', 8),
    ],
)
def test_layers_are_numbered_without_gaps(network, name, gap):
    """The largest number alone is no count: building that many would take all memory."""
    content, stray = official('s32'), name.format(20_000_000)
    content[network][stray] = torch.zeros(1)
    message = rf'^file: {network}\.{stray} belongs to layer \d+ of .*, but of layer {gap} there is'
    with pytest.raises(ValueError, match=message):
        inspect_official(content, 'file')


@pytest.mark.parametrize(
    ('network', 'name', 'value', 'message'),
    [
        ('g', 5, torch.zeros(1), 'g is no state dict: not all of its keys are names'),
        ('d', 5, torch.zeros(1), 'd is no state dict: not all of its keys are names'),
        ('d', 'from_rgb.0.1.bias', torch.tensor(1.0), '.* do not tell the base resolution'),
        ('d', 'from_rgb.0.1.bias', 3, '.* do not tell the base resolution'),
        ('g', 'style.1.weight', torch.zeros(3), r'.*g\.style\.1\.weight has shape \(3,\)'),
        ('g', f'style.{"9" * 5000}.bias', torch.zeros(1), '.*4300 digits'),
    ],
)
def test_state_dicts_of_nonsense(network, name, value, message):
    content = official('s32', [network])
    content[network][name] = value
    with pytest.raises(ValueError, match=f'^file:? {message}'):
        inspect_official(content, 'file')


def test_all_misfits_are_listed(stored):
    content = official('s32')
    del content['d']['final_conv.1.bias'], content['g']['lff.ffm.conv.bias']
    content['e']['other'] = torch.zeros(3)
    with pytest.raises(ValueError, match=r'\(problems: 3\)') as error:
        load_official_checkpoint(stored(content))
    for name in ('d.final_conv.1.bias', 'g.lff.ffm.conv.bias', 'e.other'):
        assert name in str(error.value)


def test_widths_that_follow_no_rule():
    sizes = {'last_conv.bias': (16,)}
    widths = {8: 16, 16: 16, 32: 8, 64: 5, 128: 2}
    for side, width in widths.items():
        sizes[f'from_rgb.{side}.bias'] = sizes[f'blocks.{side}.conv1.bias'] = (width,)
    with pytest.raises(ArchitectureError, match=r"the discriminator's widths .*32: 8, 64: 5, 128"):
        infer_discriminator(sizes)
    sizes['from_rgb.64.bias'] = sizes['blocks.64.conv1.bias'] = (4,)
    found = infer_discriminator(sizes)
    assert found['channel_base'] // 128 == 2 and found['channel_base'] // 32 == 8


def test_networks_that_do_not_belong_together(stored):
    content = {**official('s32', ['g']), **official('s64', ['e'])}
    with pytest.raises(ValueError, match="the encoder's input_size is 64, the generator's base_"):
        load_official_checkpoint(stored(content))
    content = {**official('s32', ['g']), 'g_ema': official('s32_x4', ['g'])['g']}
    with pytest.raises(ValueError, match='g and g_ema differ in image_size 32 and 128'):
        load_official_checkpoint(stored(content))
    content = {**official('s32', ['g']), **official('s32_x4', ['d'])}
    with pytest.raises(ValueError, match='makes pictures of side 32, the discriminator takes 128'):
        load_official_checkpoint(stored(content))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ({'state_dict': {}}, 'none of the keys g, g_ema, d.*checkpoint of MMEngine'),
        ({}, 'but nothing'),
        ([1], 'holds no dict, but list'),
        ({'g': 3}, 'g is no state dict, but int'),
        ({'g': {}}, r'the generator has no levels'),
    ],
)
def test_other_files(stored, content, message):
    with pytest.raises(ValueError, match=message):
        load_official_checkpoint(stored(content))


def test_missing_and_damaged_files(tmp_path):
    path = tmp_path / 'official.pt'
    with pytest.raises(FileNotFoundError, match=r'official\.pt does not exist'):
        load_official_checkpoint(path)
    path.write_bytes(b'no pickle')
    with pytest.raises(ValueError, match=r'official\.pt'):
        load_official_checkpoint(path)
    torch.save(official('s32', ['g']), path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match='cannot be read'):
        load_official_checkpoint(path)


@pytest.mark.parametrize('trust', [False, True])
@pytest.mark.parametrize(
    ('content', 'reason'),
    [(b'hello world', r'KeyError: 101\)'), (b'.', 'IndexError: '), (b'', r'EOFError\)')],
)
def test_bytes_that_are_no_pickle(tmp_path, content, reason, trust):
    path = tmp_path / 'official.pt'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf'official\.pt cannot be read \({reason}'):
        load_official_checkpoint(path, trust=trust)


def test_trusted_files_whose_objects_cannot_be_made(stored, monkeypatch):
    module = types.ModuleType('removed')
    module.Settings = type('Settings', (), {'__module__': 'removed'})
    monkeypatch.setitem(sys.modules, 'removed', module)
    path = stored({**official('s32', ['g']), 'args': module.Settings()})
    monkeypatch.delitem(sys.modules, 'removed')
    reason = "ModuleNotFoundError: No module named 'removed'"
    with pytest.raises(ValueError, match=rf'official\.pt cannot be read \({reason}\)'):
        load_official_checkpoint(path, trust=True)


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


@pytest.mark.parametrize('zipped', [True, False])
def test_code_in_files_does_not_run(tmp_path, zipped):
    trap, path = tmp_path / 'trap', tmp_path / 'official.pt'
    content = {**official('s32'), 'args': Payload(trap)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r'refused: .* trust=True .*--trust'):
        load_official_checkpoint(path)
    assert not trap.exists()
    assert 'encoder' in load_official_checkpoint(path, trust=True)
    assert trap.exists()


def test_tensors_stay_on_disk_until_copied(stored, monkeypatch):
    options = []

    @functools.wraps(torch.load)
    def load(*args, **kwargs):
        options.append(kwargs)
        return load.__wrapped__(*args, **kwargs)

    monkeypatch.setattr(torch, 'load', load)
    read_official_checkpoint(stored(official('s32')))
    assert options == [dict(map_location='cpu', weights_only=True, mmap=True)]


def test_random_numbers_go_on_as_if_nothing_was_loaded(stored):
    path = stored(official('s32'))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_official_checkpoint(path)
    assert torch.equal(torch.rand(3), expected)


# ------------------------------------------------------------------------ published sizes


@pytest.mark.slow
@torch.no_grad()
def test_published_checkpoint(stored):
    expected = numbers('full_g128')
    networks = load_official_checkpoint(stored(official('celebA_128', ['d', 'g_ema', 'd_patch'])))
    generator = networks['generator_ema']
    coords = generator.warp(generator.map_structure(rnd('z_struc', (2, 512))))
    picture = generator.synthesize(coords, generator.map_texture(rnd('z_style', (2, 512))))
    assert relative_error(coords, expected['warp']) < TOLERANCE
    assert relative_error(picture, expected['image']) < TOLERANCE
    logits = networks['discriminator'](image('real', (2, 3, 128, 128)))
    assert relative_error(logits, numbers('full_d')['d128_b2']) < TOLERANCE
    patch, images = networks['patch_discriminator'], image('real', (2, 3, 128, 128))
    cuts = [patch.crop(images, crops(tag, 16)) for tag in ('ref', 'tgt')]
    assert relative_error(patch(*cuts), numbers('full_patch')['logits']) < TOLERANCE


@pytest.mark.slow
@torch.no_grad()
def test_published_checkpoint_of_512(stored):
    path = stored(official('celebA_512', ['g_ema', 'd']))
    networks = load_official_checkpoint(path)
    path.unlink()
    assert networks['generator_ema'].image_size == 512
    logits = networks['discriminator'](image('real', (2, 3, 512, 512)))
    assert relative_error(logits, numbers('full_d')['d512_b2']) < TOLERANCE


@pytest.mark.slow
@torch.no_grad()
def test_published_encoder(stored):
    expected = numbers('full_e')
    networks = load_official_checkpoint(stored(official('celebA_enc', ['e', 'g_ema'])))
    structure_w, texture_w = networks['encoder'](image('real', (2, 3, 128, 128)))
    assert relative_error(structure_w, expected['struc']) < TOLERANCE
    assert relative_error(texture_w, expected['style']) < TOLERANCE
    assert np.isfinite(networks['generator_ema'].warp(structure_w).numpy()).all()

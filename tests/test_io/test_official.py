"""Checkpoints of the reference implementation: what is in them, what they compute."""

import pathlib

import pytest
import torch
from official_files import Call, official
from reference import image, numbers, relative_error, rnd

from mmcoordgan.apis import load_official_checkpoint
from mmcoordgan.io.official import from_official, to_official

TOLERANCE = 1e-4
KINDS = ('s32', 's32_x4', 's64', 's64_x4', 'celebA_128', 'celebA_512', 'celebA_enc')


@pytest.fixture
def stored(tmp_path):
    """Function (content) -> path of a file that holds it."""

    def save(content):
        torch.save(content, tmp_path / 'official.pt')
        return tmp_path / 'official.pt'

    return save


@pytest.mark.parametrize('kind', KINDS)
def test_names_and_shapes_are_the_manifests(kind):
    """Sizes that are read from every tensor's shape give networks with exactly these tensors."""
    content, filters = {}, set()
    for network, entries in numbers('manifest.json')[kind].items():
        content[network] = {n: torch.zeros(1).expand(e['shape']) for n, e in entries.items()}
        filters |= {f'{network}.{n}' for n, entry in entries.items() if entry['kind'] == 'buffer'}
    with pytest.raises(ValueError, match='other filters than the network applies') as error:
        from_official(content, 'file')
    assert {*str(error.value).rpartition(': ')[2].split('; ')} == filters


@pytest.mark.parametrize('kind', KINDS[:4])
def test_round_trip(kind):
    content = {
        key: {n: v if n.endswith('.kernel') else torch.randn_like(v) for n, v in state.items()}
        for key, state in official(kind).items()
    }
    networks = from_official(content, 'file')
    back = to_official({name: n.state_dict() for name, n in networks.items()}, 'file')
    assert list(back) == [key for key in ('g', 'g_ema', 'e', 'd', 'd_patch') if key in content]
    for key, state in content.items():
        assert set(back[key]) == set(state)
        for name, tensor in state.items():
            assert back[key][name].shape == tensor.shape, name
            assert torch.equal(back[key][name], tensor), name


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
        rendered = generator.synthesize(coords, generator.map_texture(rnd('z_style', (4, 32))))
        assert relative_error(coords, expected['g/warp']) < TOLERANCE
        assert relative_error(rendered, expected['g/image']) < TOLERANCE
    logits = networks['discriminator'](image('real', (4, 3, 32, 32)))
    assert relative_error(logits, expected['d/logits_b4']) < TOLERANCE
    structure_w, texture_w, *_ = networks['encoder'](image('real', (4, 3, 32, 32)))
    assert relative_error(structure_w, expected['e/struc']) < 1e-5
    assert relative_error(texture_w, expected['e/style']) < 1e-5


@pytest.mark.parametrize('change', ['missing', 'wider'])
def test_each_tensor_is_named(change):
    """But for a few wider ones that a size is read from: then those that disagree are named."""
    unnamed = []
    for network, state in official('s32', ['g', 'd', 'd_patch', 'e']).items():
        for name in state:
            changed = dict(state)
            value = changed.pop(name)
            if change == 'wider':
                changed[name] = torch.cat([value] * 2)
            with pytest.raises(ValueError, match=r'^file') as error:
                from_official({network: changed}, 'file')
            if f'{network}.{name} ' not in str(error.value):
                unnamed.append(f'{network}.{name}')
    assert not unnamed if change == 'missing' else len(unnamed) < 20, unnamed


@pytest.mark.parametrize(
    ('network', 'name', 'value', 'message'),
    [
        ('g', 5, torch.zeros(1), 'g is no state dict'),
        ('d', 'extra.weight', torch.zeros(2), r'.*d\.extra\.weight is not in this network'),
        ('g', 'style.1.bias', torch.zeros(7), r'.*bias has shape \(7,\), needed is \(32,\)'),
        ('d', 'convs.1.skip.0.kernel', torch.ones(4, 4), r'other filters .*: d\.convs\.1.*kernel'),
        ('d', 'from_rgb.0.1.bias', 3, r'.*d\.from_rgb\.0\.1\.bias is no plain tensor'),
        ('d', 'final_conv.0.weight', torch.zeros(0, 1), r'd\.final_conv\.0\.weight has shape \(0,'),
        ('g', 'style.1.weight', torch.zeros(3), r'.*g\.style\.1\.weight has shape \(3,\)'),
        ('g', f'style.{"9" * 5000}.bias', torch.zeros(1), '.*bias is not in this network'),
        ('e', 'ToGlobalCode.99999999.weight', torch.zeros(1), '.*is not in this network'),
        (
            'e',
            'sp_fc.weight',
            torch.zeros(1).expand(1 << 60, 1),
            'no network has the sizes of e: input_size',
        ),
    ],
)
def test_misfits(network, name, value, message):
    """Nothing is built of them, whatever sizes they claim."""
    content = official('s32', [network])
    content[network][name] = value
    with pytest.raises(ValueError, match=f'^file:? {message}'):
        from_official(content, 'file')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ({'state_dict': {}}, 'converted already: .*none of the keys g, g_ema, e,'),
        ([1], 'holds no dict, but list'),
    ],
)
def test_other_files(stored, content, message):
    with pytest.raises(ValueError, match=message):
        load_official_checkpoint(stored(content))


def test_code_in_files_runs_with_trust_alone(tmp_path):
    trap, path = tmp_path / 'trap', tmp_path / 'official.pt'
    content = {**official('s32'), 'args': Call(pathlib.Path.touch, trap)}
    torch.save(content, path)
    with pytest.raises(ValueError, match=r'refused: .* trust=True .*--trust'):
        load_official_checkpoint(path)
    assert not trap.exists()
    assert 'encoder' in load_official_checkpoint(path, trust=True)
    assert trap.exists()

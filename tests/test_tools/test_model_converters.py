"""Checkpoints of the reference implementation, converted, used, and converted back."""

import json
import os
from pathlib import Path

import pytest
import torch
from mm_to_official import main as to_official
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.runner.checkpoint import load_checkpoint
from official_files import official
from official_to_mm import main as to_mm
from reference import image, numbers, relative_error, rnd

from mmcoordgan.registry import MODELS

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures('elsewhere')
TO_MM, TO_OFFICIAL = (f'model_converters/{x}.py' for x in ('official_to_mm', 'mm_to_official'))
STAGE1 = ('g', 'd', 'g_ema', 'd_patch')
STAGE2 = ('g', 'e', 'g_ema')


def there(content, *options, name='official.pt'):
    """Convert to MMEngine's form and return what the file holds."""
    torch.save(content, name)
    to_mm([name, 'mm.pth', *options])
    return torch.load('mm.pth', weights_only=True)


def back():
    to_official(['mm.pth', 'back.pt'])
    return torch.load('back.pt', weights_only=True)


@pytest.mark.parametrize('networks', [STAGE1, STAGE2, ('g',), ('g_ema', 'e')])
def test_round_trip(networks, capsys):
    content = official('s32', networks)
    for state in content.values():  # networks that share names no longer share values
        parameters = {n: v for n, v in state.items() if not n.endswith('.kernel')}
        state.update({n: torch.randn_like(v) for n, v in parameters.items()})
    there({**content, 'g_optim': {'state': {}}, 'iter': 5})
    assert 'not converted: g_optim, iter' in capsys.readouterr().out
    # The averaged generator is all that stage 2 keeps; a single generator stands for both.
    average = content['g_ema' if 'e' in networks else 'g']
    expected = {**content, 'g': average, 'g_ema': content.get('g_ema', average)}
    torch.testing.assert_close(back(), expected, rtol=0, atol=0)


@pytest.mark.parametrize('kind', ['face', 'car'])
def test_benchmarks_of_the_reference(kind, datasetgan_root, run_tool):
    """5 references x all queries: the reference's encoder and generator, its IoU."""
    parts = ['models/coordgan_encoder_128', 'datasets/image_folder_128', 'default_runtime']
    parts += [f'datasets/datasetgan_{kind}_transfer_128', 'schedules/coordgan_encoder_600k']
    parts = [f'{ROOT}/configs/_base_/{part}.py' for part in parts]
    Path('base.py').write_text(f'_base_ = {parts}\n')
    converting = ['--base-config', 'base.py', '--dump-config', f'{kind}_dumped.py']
    there(official('s32', STAGE2), *converting)
    options = [f'test_dataloader.dataset.data_root={datasetgan_root}']
    options += ['test_dataloader.num_workers=0', 'custom_hooks.0.max_pictures=1']
    arguments = [f'{kind}_dumped.py', 'mm.pth', '--out', 'metrics.json']
    run_tool('test.py', *arguments, '--cfg-options', *options)
    metrics = json.loads(Path('metrics.json').read_text())
    expected = numbers('eval.json')[f'transfer.{kind}.model32']
    assert metrics['iou'] == pytest.approx(expected['final'], abs=0.01)
    for k, reference in enumerate(expected['refs']):
        assert metrics[f'iou/ref{k}'] == pytest.approx(reference['printed'], abs=0.01)


@torch.no_grad()
def test_config_in_the_checkpoint():
    """Enough to build the model from the checkpoint alone, as inferencers do."""
    converted = there(official('s32_x4'), '--dump-config', 'config.py')
    # The reference counts on from the smaller images: 300,000 would end a resumed run at once.
    assert Config.fromfile('config.py').train_cfg.max_iters == 600_000
    assert converted['meta']['cfg'] == converted['message_hub']['runtime_info']['cfg']
    assert converted['meta']['cfg'] == Path('config.py').read_text()
    cfg = Config.fromstring(converted['meta']['cfg'], '.py')
    assert cfg.model.pop('frozen') == ('structure_mapping', 'warp_net')
    assert cfg.train_dataloader.dataset.pipeline[0].size == 128
    cfg.model.perceptual.vgg_weights = None
    cfg.model.patch_discriminator = None
    cfg.model.losses = {}
    model = MODELS.build(cfg.model)
    load_checkpoint(model, 'mm.pth', strict=True)
    picture, _ = model.eval().sample(rnd('z_struc', (4, 32))[:2], rnd('z_style', (4, 32))[:2])
    expected = numbers('small_s32_forward')
    assert relative_error(picture, expected['g_x4/image_cur128']) < 1e-4
    logits = model.discriminator(image('real', (2, 3, 128, 128)))
    assert relative_error(logits, expected['d_x4/logits_cur128_b2']) < 1e-4


def test_provenance_and_iteration():
    meta = there(official('s32', STAGE1), name='300000.pt')['meta']
    assert meta['iter'] == 300000 and meta['epoch'] == 0
    assert meta['official']['source'] == '300000.pt' and len(meta['official']['sha256']) == 64
    assert there(official('s32', STAGE1), name='512.pt')['meta']['iter'] == 0  # a size
    converted = there(official('s32', STAGE1), '--iteration', '12', name='300000.pt')
    assert converted['meta']['iter'] == int(converted['state_dict']['iteration']) == 12


def test_training_goes_on(tmp_path):
    """From the converted checkpoint, and the result goes back to the reference."""
    content, base = official('s32', STAGE1), f'{ROOT}/configs/coordgan/toyfaces_32.py'
    config = f'{tmp_path.name}.py'
    there(content, '--iteration', '7', '--base-config', base, '--dump-config', config)
    cfg = Config.fromfile(config)
    cfg.merge_from_dict({'train_cfg.max_iters': 9, 'train_dataloader.dataset.length': 8})
    cfg.train_dataloader.update(batch_size=4, num_workers=0, persistent_workers=False)
    cfg.update(work_dir='work', load_from='mm.pth', resume=True)
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert int(runner.model.iteration) == 9
    to_official([f'work/iter_{runner.iter}.pth', 'back.pt'])
    trained = torch.load('back.pt', weights_only=True)
    for key in STAGE1:
        assert set(trained[key]) == set(content[key])
    weight = trained['g']['conv1.conv.weight']
    assert torch.equal(weight[0], runner.model.generator.stem.conv.weight.detach())
    assert not torch.equal(weight, content['g']['conv1.conv.weight'])


def test_errors(refused):
    torch.save(official('s32', ['d']), 'd.pt')
    torch.save(official('s32', STAGE2), 'e.pt')
    base = ['--base-config', ROOT / 'configs/coordgan/celeba_128.py']
    for tool, arguments, message in (
        (TO_MM, ['d.pt', 'out'], 'd.pt holds no generator (g or g_ema)'),
        (TO_MM, ['e.pt', 'out', *base], 'a config of CoordGAN, but e.pt needs one of CoordGANInv'),
        (TO_OFFICIAL, ['e.pt', 'out'], 'is no checkpoint of CoordGAN'),
    ):
        assert message in refused(tool, *arguments)
    assert sorted(os.listdir()) == ['d.pt', 'e.pt']


def test_settings_that_the_reference_does_not_have(refused):
    converted = there(official('s32', STAGE1))
    for settings, message in {
        'warp_residual=True': 'warp_residual=True, only False',
        'mapping_lr_multiplier=0.1': 'mapping_lr_multiplier=0.1, only 0.01',
        'base_resolution=64, num_levels=3': 'num_levels=3, only 4',
    }.items():
        converted['meta']['cfg'] = f'model = dict(generator=dict({settings}))'
        torch.save(converted, 'mm.pth')
        assert message in refused(TO_OFFICIAL, 'mm.pth', 'back.pt')


def test_tensors_that_the_reference_does_not_have(untrained, refused):
    converted = there(official('s32', STAGE1))
    state = converted['state_dict']
    del state['generator.stem.bias']
    torch.save(converted, 'mm.pth')
    assert 'g.conv1.activate.bias is missing' in refused(TO_OFFICIAL, 'mm.pth', 'back.pt')
    state['patch_discriminator.more'] = torch.zeros(2)
    torch.save(state, 'mm.pth')  # a bare state dict will do
    error = refused(TO_OFFICIAL, 'mm.pth', 'back.pt')
    assert 'no place for patch_discriminator.more' in error
    error = refused(TO_OFFICIAL, untrained['toyfaces_32_encoder'], 'back.pt')
    assert "the reference's kernel_size is 3" in error and not Path('back.pt').exists()


def test_layers_that_training_here_does_not_need():
    """A discriminator for one image size gets the layers of the others, untrained."""
    converted = there(official('s32', STAGE1))
    extra = ('discriminator.from_rgb.64', 'discriminator.from_rgb.128')
    state = {n: v for n, v in converted['state_dict'].items() if not n.startswith(extra)}
    torch.save({**converted, 'state_dict': state}, 'mm.pth')
    found, wanted = back()['d'], official('s32')['d']
    assert torch.equal(found['from_rgb.0.0.weight'], wanted['from_rgb.0.0.weight'])
    assert found['from_rgb.2.0.weight'].shape == (2, 3, 1, 1)

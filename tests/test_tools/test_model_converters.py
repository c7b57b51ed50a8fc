"""Checkpoints of the reference implementation, converted, used, and converted back."""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.runner.checkpoint import load_checkpoint
from official_files import official
from reference import image, numbers, relative_error, rnd

from mmcoordgan.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'tests' / 'test_evaluation'))
from eval_stub import evaluation_data  # noqa: E402

CONVERTERS = ROOT / 'tools' / 'model_converters'
to_mm = runpy.run_path(str(CONVERTERS / 'official_to_mm.py'))['main']
to_official = runpy.run_path(str(CONVERTERS / 'mm_to_official.py'))['main']
run_test = runpy.run_path(str(ROOT / 'tools' / 'test.py'))['main']
STAGE1 = ('g', 'd', 'g_ema', 'd_patch')
STAGE2 = ('g', 'e', 'g_ema')


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """Whatever the tools set in this process is undone."""
    for name in ('TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'LOCAL_RANK'):
        monkeypatch.setenv(name, '0')
    monkeypatch.chdir(tmp_path)


def adam(networks, skip=(), learning_rate=0.0016, kind='s32'):
    """State of an Adam over the reference's parameters, each with random moments."""
    shapes = [
        (name, entry['shape'])
        for network in networks
        for name, entry in numbers('manifest.json')[kind if network != 'd_patch' else 's32'][
            network
        ].items()
        if entry['kind'] == 'param'
    ]
    state = {
        k: {'step': torch.tensor(7.0), 'exp_avg': torch.randn(s), 'exp_avg_sq': torch.rand(s)}
        for k, (name, s) in enumerate(shapes)
        if not name.startswith(skip)
    }
    group = dict(lr=learning_rate, betas=(0.0, 0.99**0.8), eps=1e-8, weight_decay=0, amsgrad=False)
    return {'state': state, 'param_groups': [{**group, 'params': list(range(len(shapes)))}]}


def there(content, *options, name='official.pt'):
    """Convert to MMEngine's form and return what the file holds."""
    torch.save(content, name)
    to_mm([name, 'mm.pth', *options])
    return torch.load('mm.pth', weights_only=True)


def back():
    to_official(['mm.pth', 'back.pt'])
    return torch.load('back.pt', weights_only=True)


def identical(one, other, place='') -> None:
    assert type(one) is type(other), place
    if isinstance(one, dict):
        assert list(one) == list(other), place
        for key in one:
            identical(one[key], other[key], f'{place}.{key}')
    elif isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype and one.shape == other.shape, place
        assert torch.equal(one, other), place
    else:
        assert one == other, place


def randomized(content: dict) -> dict:
    """Networks that share names no longer share values; filters keep theirs."""
    return {
        key: {n: v if n.endswith('.kernel') else torch.randn_like(v) for n, v in state.items()}
        for key, state in content.items()
    }


# ------------------------------------------------------------------------ round trips


@pytest.mark.parametrize('kind', ['s32', 's32_x4', 's64', 's64_x4'])
@pytest.mark.parametrize('networks', [STAGE1, STAGE2, ('g', 'd'), ('g_ema',), ('g', 'e'), None])
def test_round_trip(kind, networks):
    stored = numbers('manifest.json')[kind]
    content = randomized(official(kind, [n for n in networks or stored if n in stored]))
    if not content:
        content = randomized(official(kind))
    converted = there(content)
    assert isinstance(converted['state_dict']['iteration'], torch.Tensor)
    identical(back(), content)


def test_second_stage_renders_with_the_average(capsys):
    content = randomized(official('s32', STAGE2))
    state = there(content)['state_dict']
    assert torch.equal(state['generator.stem.bias'], content['g_ema']['conv1.activate.bias'])
    assert 'g has no place in the model and is kept aside: it differs' in capsys.readouterr().out
    same = {**content, 'g': content['g_ema']}
    assert 'official_leftovers' not in there(same)
    identical(back(), same)


def test_more_in_the_file(capsys):
    content = {**official('s32', STAGE1), 'iter': 5, 'ada_aug_p': torch.tensor(0.5)}
    there(content)
    assert 'iter has no place in the model and is kept aside' in capsys.readouterr().out
    identical(back(), content)
    # Back after training here, which keeps no such things.
    checkpoint = torch.load('mm.pth', weights_only=True)
    torch.save({'state_dict': checkpoint['state_dict']}, 'mm.pth')
    identical(back(), official('s32', STAGE1))
    assert 'settings that leave no trace' in capsys.readouterr().out


# ------------------------------------------------------------------------ optimizers


def build_optimizers(config: str):
    """The model of a config, with the converted weights, and its optimizers."""
    cfg = Config.fromfile(config)
    cfg.model.perceptual.vgg_weights = None
    model = MODELS.build(cfg.model)
    load_checkpoint(model, 'mm.pth', strict=True)
    settings = cfg.optim_wrapper.to_dict()
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(type=settings.pop('constructor'), optim_wrapper_cfg=settings)
    )
    return model, constructor(model)


@pytest.mark.parametrize('order', [('d', 'd_patch'), ('d_patch', 'd')])
def test_optimizers_of_stage_1(order, capsys):
    content = official('s32', STAGE1)
    content['g_optim'] = adam(['g'])
    # The layers for other sizes of pictures are never trained, so they have no state.
    content['d_optim'] = adam(order, skip=('from_rgb.1', 'from_rgb.2'))
    converted = there(content, '--dump-config', 'config.py')
    assert 'iteration 7, with optimizer state' in capsys.readouterr().out
    model, wrappers = build_optimizers('config.py')
    wrappers.load_state_dict(converted['optimizer'])
    manifest = [n for n, e in numbers('manifest.json')['s32']['g'].items() if e['kind'] == 'param']
    for ours, theirs in (('stem.bias', 'conv1.activate.bias'), ('warp_net.last.weight', None)):
        state = wrappers['generator'].optimizer.state[model.generator.get_parameter(ours)]
        index = manifest.index(theirs or 'foldnet.conv1_3.weight')
        expected = content['g_optim']['state'][index]
        assert torch.equal(state['exp_avg'].flatten(), expected['exp_avg'].flatten())
        assert state['step'] == 7
    patch = wrappers['discriminator'].optimizer
    bias = patch.state[model.patch_discriminator.decision[1].bias]['exp_avg_sq']
    d_optim = content['d_optim']['state']
    last = max(d_optim) if order[-1] == 'd_patch' else len(manifest_of('d_patch')) - 1
    assert torch.equal(bias, d_optim[last]['exp_avg_sq'])
    assert patch.param_groups[0]['lr'] == 0.0016
    # What is loaded can make a step.
    model.generator(torch.randn(2, 32), torch.randn(2, 32)).sum().backward()
    wrappers['generator'].step()
    identical(back(), content)


def manifest_of(network):
    entries = numbers('manifest.json')['s32'][network]
    return [name for name, entry in entries.items() if entry['kind'] == 'param']


@pytest.mark.parametrize('frozen', [True, False])
def test_optimizers_of_larger_pictures(frozen):
    """The structure, if frozen, has no state in the reference; here it is left out."""
    content = {**official('s32_x4'), **official('s32', ['d_patch'])}
    skip = ('struc.', 'foldnet.') if frozen else ()
    content['g_optim'] = adam(['g'], skip=skip, kind='s32_x4')
    content['d_optim'] = adam(['d', 'd_patch'], skip=('from_rgb.0', 'from_rgb.1'), kind='s32_x4')
    converted = there(content, '--dump-config', 'config.py')
    model, wrappers = build_optimizers('config.py')
    wrappers.load_state_dict(converted['optimizer'])
    assert model.generator.warp_net.first.weight.requires_grad is not frozen
    state = wrappers['generator'].optimizer.state[model.generator.fourier.conv.bias]
    place = [n for n, e in numbers('manifest.json')['s32_x4']['g'].items() if e['kind'] == 'param']
    index = place.index('lff.ffm.conv.bias')
    assert torch.equal(state['exp_avg'], content['g_optim']['state'][index]['exp_avg'])
    identical(back(), content)


@pytest.mark.parametrize('order', [('e',), ('g', 'e'), ('e', 'g')])
def test_optimizer_of_stage_2(order):
    """The frozen generator may be among its parameters, but has no state."""
    content = official('s32', STAGE2)
    frozen = tuple(manifest_of('g'))
    content['g_optim'] = adam(order, skip=frozen)
    converted = there(content, '--dump-config', 'config.py')
    model, wrapper = build_optimizers('config.py')
    wrapper.load_state_dict(converted['optimizer'])
    state = wrapper.optimizer.state[model.encoder.structure_head.weight]
    assert torch.equal(
        state['exp_avg'], next(iter(content['g_optim']['state'].values()))['exp_avg']
    )
    identical(back(), content)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda o: o['param_groups'][0]['params'].pop(), 'it holds 66 parameters, which do not'),
        (
            lambda o: o['state'][3].update(exp_avg=torch.zeros(9)),
            'it holds 67 parameters, which do not match the 67',
        ),
        (lambda o: o['param_groups'].append({'params': []}), 'it has 2 groups of parameters'),
        (lambda o: o['state'][3].update(momentum=3), 'it is no state of Adam'),
        (lambda o: o.clear(), 'it is no state of an optimizer'),
    ],
)
def test_optimizer_that_does_not_match(change, message, capsys):
    content = official('s32', STAGE1)
    content['g_optim'], content['d_optim'] = adam(['g']), adam(['d', 'd_patch'])
    change(content['g_optim'])
    assert 'optimizer' not in there(content)
    output = capsys.readouterr().out
    assert f'the optimizer state g_optim is dropped: {message}' in output
    assert 'without optimizer state' in output
    del content['g_optim'], content['d_optim']
    identical(back(), content)


# ------------------------------------------------------------------------ use


def write_base(name: str, dataset: str) -> str:
    base = ROOT / 'configs' / '_base_'
    parts = [
        'models/coordgan_encoder_128',
        'datasets/image_folder_128',
        f'datasets/{dataset}',
        'schedules/coordgan_encoder_600k',
        'default_runtime',
    ]
    Path(name).write_text(f'_base_ = {[f"{base}/{part}.py" for part in parts]}\n')
    return name


@pytest.fixture(scope='module')
def datasetgan(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp('data')
    evaluation_data.datasetgan(str(root), False)
    return root / 'datasetgan'


@pytest.mark.parametrize('kind', ['face', 'car'])
def test_benchmarks_of_the_reference(kind, datasetgan, capsys):
    """5 references x all queries: the reference's encoder and generator, its IoU."""
    base = write_base(f'{kind}_base.py', f'datasetgan_{kind}_transfer_128')
    there(official('s32', STAGE2), '--base-config', base, '--dump-config', f'{kind}_dumped.py')
    options = [f'test_dataloader.dataset.data_root={datasetgan}', 'test_dataloader.num_workers=0']
    options.append('custom_hooks.0.max_pictures=1')
    run_test([f'{kind}_dumped.py', 'mm.pth', '--out', 'metrics.json', '--cfg-options', *options])
    metrics = json.loads(Path('metrics.json').read_text())
    expected = numbers('eval.json')[f'transfer.{kind}.model32']
    assert metrics['iou'] == pytest.approx(expected['final'], abs=0.01)
    for k, reference in enumerate(expected['refs']):
        assert metrics[f'iou/ref{k}'] == pytest.approx(reference['printed'], abs=0.01)


@torch.no_grad()
def test_config_in_the_checkpoint():
    """Enough to build the model from the checkpoint alone, as inferencers do."""
    converted = there(official('s32_x4'), '--dump-config', 'config.py')
    # The reference counts on from the smaller pictures: 300,000 would end a resumed run at once.
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
    assert meta['official']['model']['generator']['base_resolution'] == 32
    assert there(official('s32', STAGE1), name='512.pt')['meta']['iter'] == 0  # a size
    converted = there(official('s32', STAGE1), '--iteration', '12', name='300000.pt')
    assert converted['meta']['iter'] == int(converted['state_dict']['iteration']) == 12


def toy_training(config: str, **changes) -> Runner:
    """A Runner on procedural faces, without perceptual terms."""
    cfg = Config.fromfile(config)
    cfg.merge_from_dict({'train_cfg.max_iters': 9, 'work_dir': 'work', **changes})
    toy = Config.fromfile(str(ROOT / 'configs/_base_/datasets/toyfaces_32_train.py'))
    cfg.train_dataloader = toy.train_dataloader
    cfg.train_dataloader.update(batch_size=4, dataset=dict(type='ToyFaces', size=32, length=8))
    cfg.model.perceptual = dict(type='StructureTensorLoss')
    del cfg.default_hooks['pictures']
    for name in ('test_dataloader', 'test_evaluator', 'test_cfg', 'custom_hooks'):
        cfg.pop(name, None)
    return Runner.from_cfg(cfg)


@pytest.mark.parametrize('way', ['load_from', 'resume'])
def test_training_goes_on(way, tmp_path):
    """From the converted checkpoint, and the result goes back to the reference."""
    content = official('s32', STAGE1)
    content['g_optim'] = adam(['g'])
    content['d_optim'] = adam(['d', 'd_patch'], skip=('from_rgb.1', 'from_rgb.2'))
    there(content, '--dump-config', f'{tmp_path.name}.py')
    changes = {'load_from': 'mm.pth', 'resume': way == 'resume'}
    if way == 'load_from':
        changes['train_cfg.max_iters'] = 2
    runner = toy_training(f'{tmp_path.name}.py', **changes)
    runner.train()
    assert int(runner.model.iteration) == 9  # both began at 7
    to_official([f'work/iter_{runner.iter}.pth', 'back.pt'])
    trained = torch.load('back.pt', weights_only=True)
    assert list(trained) == ['g', 'd', 'g_ema', 'd_patch', 'g_optim', 'd_optim']
    for key in STAGE1:
        assert list(trained[key]) == list(content[key])
    steps = {int(value['step']) for value in trained['g_optim']['state'].values()}
    assert steps == {9 if way == 'resume' else 2}
    weight = 'conv1.conv.weight'
    assert torch.equal(
        trained['g'][weight].flatten(), runner.model.generator.stem.conv.weight.detach().flatten()
    )
    there(trained, name='again.pt')


# ------------------------------------------------------------------------ errors


def fails(tool, arguments, capsys) -> str:
    with pytest.raises(SystemExit) as end:
        tool([str(argument) for argument in arguments])
    assert end.value.code == 2
    error = capsys.readouterr().err.strip()
    assert ' error: ' in error and '\n' not in error
    return error


def test_errors(capsys):
    torch.save(official('s32', ['d']), 'd.pt')
    assert 'holds no generator' in fails(to_mm, ['d.pt', 'mm.pth'], capsys)
    assert 'none.pt does not exist' in fails(to_mm, ['none.pt', 'mm.pth'], capsys)
    assert 'none.pt does not exist' in fails(to_official, ['none.pt', 'back.pt'], capsys)
    torch.save(official('s32', STAGE2), 'e.pt')
    arguments = ['e.pt', 'mm.pth', '--dump-config', 'config.yaml']
    assert 'the name must end in .py' in fails(to_mm, arguments, capsys)
    base = ROOT / 'configs/coordgan/celeba_128.py'
    error = fails(to_mm, ['e.pt', 'mm.pth', '--base-config', base], capsys)
    assert 'a config of CoordGAN, but e.pt needs one of CoordGANInversion' in error
    content = official('s32', STAGE2)
    del content['e']['sp_fc.bias']
    torch.save(content, 'e.pt')
    assert 'e.sp_fc.bias is missing' in fails(to_mm, ['e.pt', 'mm.pth'], capsys)
    assert 'is no checkpoint of CoordGAN' in fails(to_official, ['e.pt', 'back.pt'], capsys)
    assert sorted(os.listdir()) == ['d.pt', 'e.pt']


def test_code_in_files_does_not_run(capsys):
    trap = Path('trap').absolute()

    class Payload:
        def __reduce__(self):
            return Path.touch, (trap,)

    content = {**official('s32', STAGE1), 'args': Payload()}
    torch.save(content, 'official.pt')
    assert '--trust' in fails(to_mm, ['official.pt', 'mm.pth'], capsys)
    torch.save({'state_dict': {}, 'args': Payload()}, 'evil.pth')
    assert '--trust' in fails(to_official, ['evil.pth', 'back.pt'], capsys)
    assert not trap.exists() and not Path('mm.pth').exists()
    to_mm(['official.pt', 'mm.pth', '--trust'])
    assert trap.exists()
    trap.unlink()
    torch.load('mm.pth', weights_only=True)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ('generator=dict(warp_residual=True)', 'warp_residual of the generator is True'),
        ("generator={'mapping_lr_multiplier': 0.1}", 'mapping_lr_multiplier of the generator is 0'),
        ('generator=dict(base_resolution=64, num_levels=3)', 'num_levels of the generator is 3'),
    ],
)
def test_settings_that_the_reference_does_not_have(settings, message, capsys):
    converted = there(official('s32', STAGE1))
    converted['meta']['cfg'] = f'model = dict({settings})'
    torch.save(converted, 'mm.pth')
    assert message in fails(to_official, ['mm.pth', 'back.pt'], capsys)


def test_tensors_that_the_reference_does_not_have(capsys):
    converted = there(official('s32', STAGE1))
    state = converted['state_dict']
    del state['generator.stem.bias'], state['discriminator.head.1.bias']
    state['patch_discriminator.more'] = torch.zeros(2)
    torch.save(converted, 'mm.pth')
    error = fails(to_official, ['mm.pth', 'back.pt'], capsys)
    for part in (
        'generator.stem.bias is missing',
        'discriminator.head.1.bias is missing',
        'patch_discriminator.more has no counterpart',
    ):
        assert part in error


def test_toy_models_are_refused(capsys):
    """Other kernels, levels and a single texture code: nothing is written."""
    cfg = Config.fromfile(str(ROOT / 'configs/coordgan/toyfaces_32_encoder.py'))
    cfg.model.stage1_checkpoint = None
    torch.save({'state_dict': MODELS.build(cfg.model).state_dict()}, 'toy.pth')
    error = fails(to_official, ['toy.pth', 'back.pt'], capsys)
    assert 'kernel_size of the generator is 1, not 3' in error
    assert 'num_texture_codes of the encoder is 1, not 6 (W+)' in error
    assert 'input_size of the encoder is 32, but the levels' in error
    assert not Path('back.pt').exists()


def test_layers_that_training_here_does_not_need(capsys):
    """A discriminator for one size of pictures gets the others, untrained."""
    converted = there(official('s32', STAGE1))
    state = converted['state_dict']
    for name in [
        n
        for n in state
        if n.startswith(('discriminator.from_rgb.64', 'discriminator.from_rgb.128'))
    ]:
        del state[name]
    torch.save(converted, 'mm.pth')
    result = back()
    assert 'd for pictures of side 64 is new and untrained' in capsys.readouterr().out
    assert torch.equal(
        result['d']['from_rgb.0.0.weight'], official('s32')['d']['from_rgb.0.0.weight']
    )
    assert result['d']['from_rgb.2.0.weight'].shape == (2, 3, 1, 1)
    there(result)


# ------------------------------------------------------------------------ published sizes


@pytest.mark.slow
def test_published_round_trip(tmp_path):
    content = official('celebA_512', ['g_ema', 'd', 'd_patch'])
    there(content)
    to_official(['mm.pth', 'back.pt'])
    identical(torch.load('back.pt', weights_only=True, mmap=True), content)

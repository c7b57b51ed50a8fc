import argparse

import pytest
from engine_toy import write_config
from mmengine.config import Config

from mmcoordgan.cli.checks import check_training
from mmcoordgan.cli.config import CfgOptionsAction, check_cfg_options, load_config
from mmcoordgan.errors import UserError


@pytest.fixture(scope='module')
def cfg(tmp_path_factory):
    return Config.fromfile(write_config(tmp_path_factory.mktemp('options')))


ACCEPTED = [
    # what the config has
    'model.type',
    'train_cfg.max_iters',
    # what the class named there takes, also through **kwargs
    'model.batch_size',
    'train_dataloader.dataset.folder',
    'default_hooks.pictures.seed',
    'default_hooks.checkpoint.priority',
    'visualizer.vis_backends.0.save_dir',
    'optim_wrapper.generator.optimizer.weight_decay',
    # what MMEngine takes for dicts without a type
    'train_dataloader.batch_sampler.type',
    'log_processor.num_digits',
    'optim_wrapper.generator.clip_grad.max_norm',
    'optim_wrapper.generator.paramwise_cfg.custom_keys.warp_net.lr_mult',
    # the Runner
    'load_from',
    'compile',
    'model._delete_',
]


@pytest.mark.parametrize('key', ACCEPTED)
def test_accepted(cfg, key):
    assert check_cfg_options(cfg, {key: 1}) == []


REFUSED = {
    'model.batch_siz': 'did you mean model.batch_size?',
    'max_iter': 'did you mean train_cfg.max_iters?',
    'model.learning': 'model takes batch_size, pretrained_generator.',
    'train_pipeline.2.prob': 'train_pipeline takes 0, 1.',
    'train_pipeline.²': 'train_pipeline takes 0, 1.',
    'train_pipeline.1.probb': 'did you mean train_pipeline.1.prob?',
    'default_hooks.checkpoint.intervall': 'did you mean default_hooks.checkpoint.interval?',
    'optim_wrapper.generator.optimizer.weigth_decay': '.weight_decay?',
    'optimizer.lr': 'did you mean optim_wrapper.generator.optimizer.lr',
    'workdir': 'did you mean work_dir?',
    'load_from.path': 'load_from takes no keys.',
}


@pytest.mark.parametrize('key', REFUSED)
def test_refused(cfg, key):
    with pytest.raises(UserError) as error:
        check_cfg_options(cfg, {'work_dir': 'x', key: 1})
    assert str(error.value).startswith(f'unknown option {key}: ')
    assert REFUSED[key] in str(error.value)


def test_a_new_type_brings_its_own_arguments(cfg):
    optimizer = 'optim_wrapper.generator.optimizer'
    with pytest.raises(UserError, match='unknown option'):
        check_cfg_options(cfg, {f'{optimizer}.momentum_decay': 0.9})
    check_cfg_options(cfg, {f'{optimizer}.momentum_decay': 0.9, f'{optimizer}.type': 'NAdam'})
    wrapper = 'optim_wrapper.generator'  # also those of its base class that no signature shows
    check_cfg_options(cfg, {f'{wrapper}.type': 'AmpOptimWrapper', f'{wrapper}.paramwise_cfg': {}})


def test_what_names_no_class():
    """Refinement has no type; of the neighbors of a type of nonsense, nothing is known."""
    toy = Config(dict(default_scope='mmcoordgan', model=dict(refinement=dict(steps=50))))
    assert check_cfg_options(toy, {'model.refinement.l1_weight': 0}) == []
    with pytest.raises(UserError, match=r'did you mean model\.refinement\.l1_weight\?'):
        check_cfg_options(toy, {'model.refinement.l1_wieght': 0})
    cfg = Config(dict(model=dict(type='CoordGAN')))
    assert check_cfg_options(cfg, {'model.type': ['a'], 'model.other': 1}) == []


def test_a_note_where_the_option_changes_nothing(cfg):
    (note,) = check_cfg_options(cfg, {'train_pipeline.1.prob': 1.0, 'train_pipeline.0.type': 'A'})
    assert note.startswith('note: train_pipeline is a variable of the config file')


def test_early_stopping_needs_a_validation():
    hook = dict(type='EarlyStoppingHook', monitor='iou')
    cfg = Config(dict(model={}, train_cfg={}, train_dataloader={}, custom_hooks=[hook]))
    with pytest.raises(UserError, match=r'EarlyStoppingHook stops .* this one has none'):
        check_training(cfg)
    check_training(Config(dict(cfg._cfg_dict, val_dataloader=dict(batch_size=1))))


def parse(*arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptionsAction)
    return parser.parse_args(arguments).cfg_options


@pytest.mark.parametrize('text', ['a', 'a=[1,2', 'a=(1,2),(3,4)', f'a={"[" * 2000 + "]" * 2000}'])
def test_options_that_cannot_be_parsed(text, capsys):
    with pytest.raises(SystemExit) as end:
        parse('--cfg-options', text)
    assert end.value.code == 2
    assert f'--cfg-options cannot read {text[:100]}: it takes KEY=VALUE' in capsys.readouterr().err


@pytest.mark.parametrize(
    'options', [{'model': 3, 'model.batch_size': 2}, {'train_pipeline.0': 'LoadImage'}]
)
def test_options_that_cannot_be_merged(tmp_path, options):
    with pytest.raises(UserError, match='--cfg-options contradict each other or set an element'):
        load_config(str(write_config(tmp_path)), options)


def test_values():
    expected = {
        'my images/of cats': 'my images/of cats',
        "'quoted path'": 'quoted path',
        '[1,2]': [1, 2],
        '1,2': [1, 2],
        '(0.5,0.9)': (0.5, 0.9),
        '3': 3,
        '1e-3': 0.001,
        'None': None,
        'True': True,
        '"/data/a, b"': '/data/a, b',
        "'x,y'": 'x,y',
        'x,y': ['x', 'y'],
        '"[x,(1,2)]"': ['x', (1, 2)],
        '"7"': 7,
        'x=y': 'x=y',
    }
    words = [f'a.{number}={text}' for number, text in enumerate(expected)]
    parsed = parse('--cfg-options', *words[:3], '--cfg-options', *words[3:])
    assert list(parsed.values()) == list(expected.values())

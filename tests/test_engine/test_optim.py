import pytest
from engine_toy import ToyGAN as Model
from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from torch import nn

ADAM = dict(type='Adam', lr=0.002, betas=(0.0, 0.99))
CONFIG = dict(
    constructor='mmcoordgan.CoordGANOptimWrapperConstructor',
    generator=dict(optimizer=ADAM, regularization_interval=4),
    discriminator=dict(optimizer=ADAM, regularization_interval=16),
)


def with_generator(**settings):
    return {**CONFIG, 'generator': {**CONFIG['generator'], **settings}}


def ids(*modules):
    return [id(p) for m in modules for p in m.parameters()]


def trained(wrapper):
    return [id(p) for group in wrapper.optimizer.param_groups for p in group['params']]


def test_lazy_regularisation_correction_by_hand():
    wrappers = build_optim_wrapper(Model(), CONFIG)
    assert isinstance(wrappers, OptimWrapperDict)
    (generator,) = wrappers['generator'].param_groups
    assert generator['lr'] == pytest.approx(0.0016, rel=1e-12)  # 0.002 * 4 / 5
    assert generator['betas'] == (0.0, pytest.approx(0.991991968, abs=1e-9))  # 0.99 ** 0.8
    (discriminator,) = wrappers['discriminator'].param_groups
    assert discriminator['lr'] == pytest.approx(0.00188235294, abs=1e-11)  # 0.002 * 16 / 17
    assert discriminator['betas'] == (0.0, pytest.approx(0.990585457, abs=1e-9))


def test_the_encoder_has_a_single_optimizer():
    model = Model()
    model.encoder = nn.Linear(4, 2)
    model.generator.requires_grad_(False)
    config = dict(constructor=CONFIG['constructor'], encoder=CONFIG['generator'])
    wrapper = build_optim_wrapper(model, config)
    assert isinstance(wrapper, OptimWrapper)
    assert trained(wrapper) == ids(model.encoder)


def test_who_trains_what():
    model = Model()
    model.generator.paint.bias.requires_grad_(False)
    wrappers = build_optim_wrapper(model, CONFIG)
    expected = ids(model.generator)
    expected.remove(id(model.generator.paint.bias))
    assert trained(wrappers['generator']) == expected
    assert trained(wrappers['discriminator']) == ids(model.discriminator, model.patch_discriminator)


def test_paramwise_lr_on_top_of_the_correction():
    model = Model()
    custom = {'warp_net': dict(lr_mult=0.25), 'paint.bias': dict(lr=0.01)}
    config = with_generator(paramwise_cfg=dict(custom_keys=custom))
    wrapper = build_optim_wrapper(model, config)['generator']
    lr = {id(g['params'][0]): g['lr'] for g in wrapper.param_groups}
    for layer, expected in ((model.generator.warp_net, 0.0004), (model.generator.paint, 0.0016)):
        assert lr[id(layer.weight)] == pytest.approx(expected)
    assert lr[id(model.generator.warp_net.bias)] == pytest.approx(0.0004)
    assert lr[id(model.generator.paint.bias)] == pytest.approx(0.008)
    assert wrapper.get_lr()['base_lr'] == [pytest.approx(0.0016)]  # in the log


BAD = {
    'interval out of range': (
        dict(CONFIG, discriminator=dict(CONFIG['discriminator'], regularization_interval=0)),
        'optim_wrapper.discriminator.regularization_interval must be at least 1, got 0',
    ),
    'missing key': (
        {k: v for k, v in CONFIG.items() if k != 'discriminator'},
        "exactly the keys 'generator' and 'discriminator'",
    ),
    'top-level paramwise': (
        dict(CONFIG, paramwise_cfg=dict(bias_lr_mult=2.0)),
        'paramwise_cfg belongs in optim_wrapper',
    ),
    'custom key that matches nothing': (
        with_generator(paramwise_cfg=dict(custom_keys={'warpnet': dict(lr_mult=0.1)})),
        "'warpnet' is in no name of a trainable parameter, such as generator.warp_net.weight",
    ),
}


@pytest.mark.parametrize('case', BAD)
def test_bad_config(case):
    config, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        build_optim_wrapper(Model(), config)


def test_bad_model():
    frozen = Model()
    frozen.generator.requires_grad_(False)
    with pytest.raises(ValueError, match='generator: no parameter'):
        build_optim_wrapper(frozen, CONFIG)
    with pytest.raises(ValueError, match='no parameter of discriminator and patch_discriminator'):
        build_optim_wrapper(nn.ModuleDict({'generator': nn.Linear(1, 1)}), CONFIG)

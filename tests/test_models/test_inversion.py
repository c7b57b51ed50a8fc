"""The second stage: what trains, what stays, what it loads, predicts and refuses."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper
from tiny_inversion import GENERATOR, STAGE2, batch, optimizers, same, snapshot

from mmcoordgan.models import CoordGANInversion
from mmcoordgan.models.finite import NonFiniteError
from mmcoordgan.registry import MODELS

TINY = dict(
    type='CoordGANInversion',
    generator=GENERATOR,
    encoder=dict(STAGE2['encoder'], num_texture_codes=6),
    perceptual=dict(type='StructureTensorLoss'),
    losses=dict(
        rec_l1=dict(type='L1Loss', loss_weight=10.0),
        rec_perceptual=dict(type='PerceptualLoss'),
        swap_perceptual=dict(type='PerceptualLoss', interval=2),
        structure_w=dict(type='L1Loss'),
        texture_w=dict(type='L1Loss', interval=3),
        coords=dict(type='L1Loss', loss_weight=60.0),
    ),
)


def build(**changes) -> CoordGANInversion:
    config = {**copy.deepcopy(TINY), **changes}
    config['encoder'] = {**TINY['encoder'], **changes.get('encoder', {})}
    if 'replace_encoder' in config:
        config['encoder'] = config.pop('replace_encoder')
    return MODELS.build(config)


def with_w(**changes) -> CoordGANInversion:
    return build(encoder=dict(num_texture_codes=1), **changes)


def optimizer(model: CoordGANInversion, **settings) -> OptimWrapper:
    return optimizers(model, encoder=settings)


def terms(log: dict) -> set[str]:
    """Names of the terms in a log, which also has their sum."""
    values = {name: value.item() for name, value in log.items()}
    assert values.pop('loss') == pytest.approx(sum(values.values()), rel=1e-5)
    return {name[len('loss_') :] for name in log if name != 'loss'}


@pytest.mark.parametrize('build_model', [build, with_w])
def test_only_the_encoder_trains(build_model):
    model = build_model().train()
    assert not model.generator.training and model.encoder.training
    wrapper = optimizer(model)
    trained = {id(p) for group in wrapper.param_groups for p in group['params']}
    assert trained == {id(p) for p in model.encoder.parameters()}
    generator, encoder = snapshot(model.generator), snapshot(model.encoder)
    for _ in range(3):
        model.train_step(batch(), wrapper)
    assert same(model.generator, generator)
    assert all(p.grad is None and not p.requires_grad for p in model.generator.parameters())
    moved = [k for k, v in model.encoder.state_dict().items() if not torch.equal(v, encoder[k])]
    assert moved == list(encoder)
    assert int(model.iteration) == 3


def test_the_frozen_generator_has_constant_noise_while_training():
    model = build().train()
    torch.nn.init.ones_(model.generator.stem.noise_strength)
    z = torch.randn(2, 4), torch.randn(2, 4)
    images = [model.generator(*z) for _ in range(2)]
    assert torch.equal(*images)
    model.generator.noise = 'zero'  # of a generator in training mode
    assert torch.equal(model.generator(*z), images[0])
    model = build(fresh_noise=True).train()
    torch.nn.init.ones_(model.generator.stem.noise_strength)
    assert not torch.equal(model.generator(*z), model.generator(*z))
    model.eval()
    assert torch.equal(model.generator(*z), model.generator(*z))


@pytest.mark.parametrize('policy', ['error', 'skip'])
def test_losses_that_are_not_finite(policy):
    model = build(on_nonfinite=policy)
    before = snapshot(model.encoder)
    data, wrapper = {'inputs': torch.full((2, 3, 16, 16), torch.nan)}, optimizer(model)
    if policy == 'skip':
        assert model.train_step(data, wrapper) == {}
    else:
        with pytest.raises(NonFiniteError, match=r'iteration 0: loss is nan, loss_rec_l1 is nan'):
            model.train_step(data, wrapper)
    assert same(model.encoder, before)


@pytest.mark.parametrize('build_model', [build, with_w])
def test_texture_codes_by_their_definition(build_model):
    """The reference has no such term. The true code is the same in all layers."""
    model = build_model(losses=dict(texture_w=dict(type='L1Loss', loss_weight=3.0)))
    z = torch.randn(4, 4), torch.randn(4, 4)
    model.sample_codes = lambda n: z
    found = model.encoder(model.generator(*z)).texture_w.view(4, -1, 5)
    expected = 3 * (found - model.generator.map_texture(z[1])[:, None]).abs().mean()
    losses = model(batch()['inputs'], mode='loss')
    assert losses['loss_texture_w'].item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize(
    ('names', 'encoded'), [(('coords',), [4]), (('rec_l1',), [4]), (('rec_l1', 'coords'), [4, 4])]
)
def test_images_that_no_term_needs_are_not_encoded(names, encoded):
    model = build(losses={name: TINY['losses'][name] for name in names})
    sizes = []
    model.encoder.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    assert terms(model.train_step(batch(), optimizer(model))) == set(names)
    assert sizes == encoded


def test_an_encoder_may_find_the_map_itself():
    losses = {name: term for name, term in TINY['losses'].items() if name != 'structure_w'}
    dense = dict(type='DenseEncoder', input_size=16, texture_width=5, channels=(4, 6, 8))
    model = build(losses=losses, replace_encoder=dense)
    model.generator.warp_net = None  # for the synthesized images alone
    found = model.predict(batch(2)['inputs'])
    assert found.keys() == {'texture_w', 'coords'} and found['coords'].shape == (2, 2, 16, 16)
    model = build(losses=losses, replace_encoder=dense)
    torch.nn.init.normal_(model.encoder.to_map.weight)
    wrapper = optimizer(model)
    before = snapshot(model.encoder)
    assert terms(model.train_step(batch(), wrapper)) == set(losses)
    assert all(not torch.equal(v, before[k]) for k, v in model.encoder.state_dict().items())
    with pytest.raises(ValueError, match='refinement needs structure codes, which a DenseEncoder'):
        build(replace_encoder=dense, refinement=dict(steps=1, lr=0.1))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(losses=dict(rec_l2=dict(type='L1Loss'))), 'rec_l2: L1Loss needs on'),
        (dict(encoder=dict(structure_width=7)), "structure_width must be the generator's 6"),
        (dict(encoder=dict(texture_width=7)), "texture_width must be the generator's 5"),
        (dict(encoder=dict(num_texture_codes=4)), r'num_texture_codes must be 1 \(W\) or 6 \(W\+'),
        (dict(refinement=dict(steps=-1, lr=0.1)), r'refinement needs steps >= 0.*steps=-1'),
    ],
)
def test_bad_configs(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)

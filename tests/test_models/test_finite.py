"""Losses and gradients that are not finite: named, or left out."""

import pytest
import torch
from test_coordgan import batch, build, optimizers, same, snapshot

from mmcoordgan.models.finite import PATIENCE, FiniteGuard, NonFiniteError


@pytest.mark.parametrize(
    ('network', 'term'), [('discriminator', 'd_gan'), ('patch_discriminator.decision', 'd_patch')]
)
def test_the_term_and_the_iteration_are_named(network, term):
    model = build()
    wrapper = optimizers(model)
    for _ in range(2):
        model.train_step(batch(), wrapper)
    before = snapshot(model)
    module = model.get_submodule(network)
    module.register_forward_hook(lambda *args: args[-1] * torch.nan)
    with pytest.raises(
        NonFiniteError, match=rf"iteration 2: {term} is nan\. .*on_nonfinite='skip'"
    ):
        model.train_step(batch(), wrapper)
    assert same(model, before)  # neither weights nor the iteration


def test_gradients_are_looked_at_too():
    model = build()
    model.train_step(batch(), wrapper := optimizers(model))
    weight = model.generator.warp_net.last.weight
    weight.register_hook(lambda gradient: gradient * torch.nan)
    before = snapshot(model.generator)
    match = r'iteration 1: a gradient of g_gan \+ .*g_chamfer is not finite'
    with pytest.raises(NonFiniteError, match=match):
        model.train_step(batch(), wrapper)
    assert same(model.generator, before)


def test_a_skipped_step_leaves_its_networks_and_only_them():
    model = build(on_nonfinite='skip')
    wrapper = optimizers(model)
    model.train_step(batch(), wrapper)
    names = ('generator', 'discriminator', 'patch_discriminator')
    before = {name: snapshot(getattr(model, name)) for name in names}
    steps = wrapper['discriminator'].optimizer.state_dict()['state']
    steps = {key: int(value['step']) for key, value in steps.items()}
    real = batch()
    real['inputs'][0] = torch.nan  # the generator does not see it
    log = model.train_step(real, wrapper)
    assert set(log) == {'g_gan', 'g_texture_swap', 'g_chamfer'}
    moved = {name for name in names if not same(getattr(model, name), before[name])}
    assert moved == {'generator'} and int(model.iteration) == 2
    state = wrapper['discriminator'].optimizer.state_dict()['state']
    assert {key: int(value['step']) for key, value in state.items()} == steps
    assert 'd_gan' in model.train_step(batch(), wrapper)


def test_skipping_for_ever_is_not_training():
    guard, bad = FiniteGuard('skip'), {'d_gan': torch.tensor(torch.inf)}
    fine = {'g_gan': torch.tensor(1.0)}
    for iteration in range(PATIENCE - 1):
        assert not guard.read(iteration, bad, [])
        assert not guard.read(iteration, bad, [])  # two steps of an iteration count once
        assert guard.read(iteration, fine, [torch.ones(3)])
    assert guard.read(PATIENCE - 1, fine, [])
    for iteration in range(PATIENCE, 2 * PATIENCE - 1):
        assert not guard.read(iteration, bad, [])
    with pytest.raises(NonFiniteError, match=r'd_gan is inf.*in 100 iterations in a row'):
        guard.read(2 * PATIENCE - 1, bad, [])

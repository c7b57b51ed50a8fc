"""Mixed precision on the CPU, with CoordGAN itself."""

import pytest
import tiny_inversion
import torch
from test_coordgan import batch, build, same, snapshot

from mmcoordgan.engine import MixedPrecisionOptimWrapper

KEYS = ('generator', 'discriminator')
scales_on_cpu = pytest.mark.skipif(
    not hasattr(torch.amp, 'GradScaler'), reason='float16 on a CPU needs PyTorch 2.3'
)
DTYPES = ['bfloat16', pytest.param('float16', marks=scales_on_cpu)]


def optimizers(model, **settings):
    """Mixed precision for both optimizers; ``settings`` may be given for one of them."""
    own = {key: settings.pop(key, {}) for key in KEYS}
    if 'dtype' in settings:
        settings['type'] = 'mmcoordgan.MixedPrecisionOptimWrapper'
    return tiny_inversion.optimizers(model, lr=0.001, **{k: {**settings, **own[k]} for k in KEYS})


def training(steps=3, seed=0, **settings):
    torch.manual_seed(seed)
    model = build()
    wrapper = optimizers(model, **settings)
    return model, wrapper, [model.train_step(batch(), wrapper) for _ in range(steps)]


@pytest.mark.parametrize('dtype', DTYPES)
def test_losses_are_near_those_of_full_precision(dtype):
    kinds = []
    _, _, (precise,) = training(1)
    model, wrapper, (log,) = training(1, dtype=dtype, loss_scale=1024.0)
    assert set(log) == set(precise)
    for name, value in log.items():
        assert float(value) == pytest.approx(float(precise[name]), rel=0.05, abs=0.01), name
    model.discriminator.register_forward_hook(lambda m, x, logits: kinds.append(logits.dtype))
    model.iteration.fill_(4)  # all lazy terms
    before = snapshot(model)
    model.train_step(batch(), wrapper)
    low = getattr(torch, dtype)
    assert kinds == [low, low, torch.float32, low]  # R1, the third, in full precision
    for name in ('generator', 'discriminator', 'patch_discriminator'):
        part = {k[len(name) + 1 :]: v for k, v in before.items() if k.startswith(f'{name}.')}
        assert not same(getattr(model, name), part), name
    assert all(p.dtype == torch.float32 for p in model.parameters())


@scales_on_cpu
def test_each_optimizer_has_its_own_scale():
    generator = dict(loss_scale=dict(init_scale=1e30))  # overflows
    scaled = dict(loss_scale=dict(init_scale=64.0))
    settings = dict(dtype='float16', generator=generator, discriminator=scaled)
    torch.manual_seed(0)
    model = build()
    wrapper = optimizers(model, **settings)
    start = snapshot(model)
    model.train_step(batch(), wrapper)
    assert wrapper['discriminator'].loss_scaler.get_scale() == 64.0
    assert wrapper['generator'].loss_scaler.get_scale() == pytest.approx(0.5e30)
    state = model.state_dict().items()
    moved = {key.split('.')[0] for key, value in state if (value != start[key]).any()}
    assert moved == {'discriminator', 'patch_discriminator', 'iteration'}


@scales_on_cpu
def test_scales_are_saved_and_loaded():
    model, wrapper, _ = training(
        2, dtype='float16', loss_scale=dict(init_scale=64.0, growth_interval=1)
    )
    saved = wrapper.state_dict()
    # Doubled by two steps of the generator's optimizer, and by three of the discriminators'.
    assert [saved[key]['loss_scaler']['scale'] for key in KEYS] == [256.0, 512.0]
    other = optimizers(model, dtype='float16')
    other.load_state_dict(saved)
    for key in KEYS:
        assert other[key].loss_scaler.get_scale() == wrapper[key].loss_scaler.get_scale()
    # From one precision to another: the optimizer's state, without a scale.
    none = optimizers(model, dtype='bfloat16')
    none.load_state_dict(wrapper.state_dict())
    other = optimizers(model, dtype='float16', loss_scale=8.0)
    other.load_state_dict(none.state_dict())
    assert other['generator'].loss_scaler.get_scale() == 8.0
    assert other['generator'].optimizer.state_dict()['state'].keys()


@pytest.mark.parametrize('dtype', DTYPES)
def test_gradients_are_clipped_at_their_own_scale(dtype, monkeypatch):
    norms = []
    clip = torch.nn.utils.clip_grad_norm_

    def spy(parameters, max_norm):
        before = clip(parameters, max_norm)
        after = torch.stack([p.grad.norm() for p in parameters]).norm()
        norms.append((float(before), float(after)))
        return before

    monkeypatch.setattr(torch.nn.utils, 'clip_grad_norm_', spy)
    training(1, dtype=dtype, clip_grad=dict(max_norm=0.01), loss_scale=512.0)
    low = list(norms)
    norms.clear()
    training(1, dtype='bfloat16', clip_grad=dict(max_norm=0.01))
    assert len(low) == 3  # discriminators, regularization, generator
    for (before, after), (reference, _) in zip(low, norms):
        assert after == pytest.approx(0.01, rel=1e-3)
        assert before == pytest.approx(reference, rel=0.1)


def test_what_cannot_be(monkeypatch):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    monkeypatch.delattr(torch.amp, 'GradScaler', raising=False)
    with pytest.raises(ValueError, match=r'float16 on cpu needs PyTorch 2.3'):
        MixedPrecisionOptimWrapper(dtype='float16', optimizer=optimizer)

"""What GPUs would compute otherwise: filters under R1, and rounding to TensorFloat-32."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mmcoordgan.models.networks.filters import Blur, reflect
from mmcoordgan.models.networks.generator import FourierFeatures
from mmcoordgan.models.networks.layers import EqualizedConv2d
from mmcoordgan.models.networks.warp import WarpNetwork


@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize(
    ('mode', 'padding'), [('constant', (2, 2)), ('constant', (2, 1)), ('reflect', (2, 1))]
)
@pytest.mark.parametrize('size', [(8, 8), (7, 10)])
def test_filter_has_the_gradients_of_a_grouped_convolution(stride, mode, padding, size):
    blur = Blur((1, 3, 3, 1), padding, mode=mode, stride=stride).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    weight = torch.randn_like(x)
    found, expected = [], []
    kernel = torch.outer(*2 * [torch.tensor([1, 3, 3, 1]) / 8]).expand(3, 1, -1, -1).double()
    padded = F.pad(x, padding * 2, mode=mode)
    plain = F.conv2d(padded, kernel, stride=stride, groups=3)
    for results, out in ((found, blur(x)), (expected, plain)):
        # R1: the gradient of the squared gradient of something nonlinear.
        (first,) = torch.autograd.grad(out.pow(3).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad((first.square() * weight).sum(), x)
        results += [out, first, second]
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


class RoundedConvolutions(TorchDispatchMode):
    """Rounds what convolutions multiply to TensorFloat-32, as cuDNN does on GPUs since Ampere."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if 'convolution' in func._schema.name:
            args = tuple(tf32(x) if isinstance(x, Tensor) else x for x in args)
        return func(*args, **(kwargs or {}))


def tf32(x: Tensor) -> Tensor:
    """The nearest number with 10 bits behind the leading one."""
    bits = x.contiguous().view(torch.int32)
    bits = (bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF
    return bits.view(torch.float32)


def test_coordinates_keep_24_bits_under_tf32():
    assert tf32(torch.tensor([1 + 2.0**-11 + 2.0**-20])).item() == 1 + 2.0**-10
    warp = WarpNetwork(structure_width=16, hidden=32, residual=True)
    features, code = FourierFeatures(64, 10.0), torch.randn(2, 16)

    def results() -> list[Tensor]:
        coords = warp(code, 16)
        out = features(coords)
        return [coords, out, *torch.autograd.grad(out.square().sum(), [*warp.parameters()])]

    expected = results()
    with RoundedConvolutions():
        found = results()
        convolved = F.conv2d(expected[0], torch.ones(1, 2, 1, 1))
    for a, b in zip(found, expected):
        assert torch.equal(a, b)
    assert not torch.equal(convolved, expected[0].sum(1, keepdim=True))  # the rounding is seen


def test_layers_scale_and_cast_weights_in_one_pass():
    layer, x = EqualizedConv2d(3, 4, 3, gain=2), torch.rand(2, 3, 8, 8)
    layer(x.bfloat16()).float().sum().backward()
    found = layer.weight.grad.clone()
    layer.zero_grad()
    layer(x).sum().backward()
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, layer.weight.grad, atol=0, rtol=0.02)


@pytest.mark.parametrize(('before', 'after'), [(1, 1), (2, 1), (1, 0)])
def test_reflection_has_a_deterministic_gradient(before, after):
    x = torch.randn(2, 3, 5, 6, requires_grad=True)
    expected = F.pad(x, (before, after) * 2, mode='reflect')
    torch.use_deterministic_algorithms(True)
    try:
        found = reflect(x, before, after)
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(found, expected) and 'Cat' in type(found.grad_fn).__name__

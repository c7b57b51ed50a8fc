"""Time forms of the generator's main convolution beside each other."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from measuring import machine, measure
from torch import Tensor


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Times a 3x3 convolution whose weights differ between the images of a batch, '
        'forward and backward: with weights for every image, and with shared weights on scaled '
        'feature maps; with channels first and last. Prints GFLOP per second (on the CPU, of one '
        'thread) and what the backward pass keeps.'
    )
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    parser.add_argument('--size', type=int, default=128, help='height and width [128]')
    parser.add_argument('--channels', type=int, default=512, help='in and out [512]')
    parser.add_argument('--batch-size', type=int, default=2)
    return parser.parse_args()


def weights_per_image(x: Tensor, weight: Tensor, style: Tensor) -> Tensor:
    weights = style[:, None, :, None, None] * weight
    return torch.stack([F.conv2d(a, w, padding=1) for a, w in zip(x, weights)])


def grouped_weights(x: Tensor, weight: Tensor, style: Tensor) -> Tensor:
    weights = (style[:, None, :, None, None] * weight).flatten(0, 1)
    out = F.conv2d(x.reshape(1, -1, *x.shape[2:]), weights, padding=1, groups=len(x))
    return out.unflatten(1, (len(x), -1))[0]


def scaled_maps(x: Tensor, weight: Tensor, style: Tensor) -> Tensor:
    return F.conv2d(x * style[:, :, None, None], weight, padding=1)


FORMS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    'weights per image': weights_per_image,
    'weights in groups': grouped_weights,
    'scaled feature maps': scaled_maps,
}
LAYOUTS = {'channels first': torch.contiguous_format, 'channels last': torch.channels_last}


def kept_mebibytes(form: Callable, x: Tensor, weight: Tensor, style: Tensor) -> float:
    """What the graph keeps for its backward pass beside its inputs, in MiB."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        out = form(x, weight, style)
    for tensor in (x, weight, style):
        kept.pop(tensor.untyped_storage().data_ptr(), None)
    del out
    return sum(kept.values()) / 2**20


def seconds(form: Callable, inputs: tuple[Tensor, ...], device: str) -> tuple[float, float]:
    """Of the forward and of the backward pass."""

    def forward() -> None:
        with torch.no_grad():
            form(*inputs)

    out = form(*inputs)
    gradient = torch.randn_like(out)

    def backward() -> None:
        torch.autograd.grad(out, inputs, gradient, retain_graph=True)

    return tuple(measure(call, device, repeat=3).seconds for call in (forward, backward))


def main() -> None:
    args = parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    channels, size, batch = args.channels, args.size, args.batch_size
    print(machine(args.device))
    print(f'3x3, {channels} to {channels} channels, {size} x {size}, batch {batch}')
    print(f'{"form":22}{"layout":16}{"forward":>9}{"backward":>9}{"kept MiB":>10}')
    operations = 2 * 9 * channels**2 * size**2 * batch
    style = torch.rand(batch, channels, device=args.device, requires_grad=True)
    weight = torch.randn(channels, channels, 3, 3, device=args.device).mul_(0.01).requires_grad_()
    for layout, memory_format in LAYOUTS.items():
        x = torch.randn(batch, channels, size, size, device=args.device)
        x = x.contiguous(memory_format=memory_format).requires_grad_()
        for name, form in FORMS.items():
            forward, backward = seconds(form, (x, weight, style), args.device)
            speeds = operations / forward / 1e9, 2 * operations / backward / 1e9
            kept = kept_mebibytes(form, x, weight, style)
            print(f'{name:22}{layout:16}{speeds[0]:9.0f}{speeds[1]:9.0f}{kept:10.1f}', flush=True)


if __name__ == '__main__':
    main()

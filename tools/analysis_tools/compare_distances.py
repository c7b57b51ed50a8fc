"""Which perceptual distance tells structure from texture? Judged on ToyFaces, which know both.

Prints for each distance the AUC that an image with the same structure and another texture is closer
than one with another structure and the same texture (what the texture swap loss and the warp loss
need), and CPU milliseconds to compare a pair, forward and backward. Networks have random weights,
where --caffe-squeeze gives none.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor

from mmcoordgan.datasets import ToyFaces
from mmcoordgan.evaluation.map_quality import separation
from mmcoordgan.models.images import from_bytes
from mmcoordgan.models.losses import LPIPSLoss, PerceptualDistance, StructureTensorLoss


class L1Distance(PerceptualDistance):
    """Mean absolute difference: the baseline."""

    def features(self, images: Tensor) -> list[Tensor]:
        return [images]

    def distance(self, x: list[Tensor], y: list[Tensor]) -> Tensor:
        return (x[0] - y[0]).abs().mean((1, 2, 3))


def distances(caffe_squeeze: str | None) -> dict[str, PerceptualDistance]:
    """Those to compare, by name; ``weights=None`` are random."""
    settings = [dict(net=net, learned=False, weights=None) for net in ('vgg', 'alex', 'squeeze')]
    if caffe_squeeze:
        settings.append(dict(settings[-1], inputs='caffe', weights=caffe_squeeze))
    names = [', '.join(f'{key}={value!r}' for key, value in one.items()) for one in settings]
    found = {f'LPIPSLoss({name})': LPIPSLoss(**one) for name, one in zip(names, settings)}
    return {'L1': L1Distance(), 'StructureTensorLoss': StructureTensorLoss(), **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--size', type=int, default=64, help='side of the images [64]')
    parser.add_argument('--count', type=int, default=100, help='pairs of each kind [100]')
    parser.add_argument('--caffe-squeeze', metavar='FILE', help='SqueezeNet 1.1 of Caffe')
    args = parser.parse_args()
    torch.manual_seed(0)
    faces = ToyFaces(size=args.size, seed=3)

    def images(structures: range, textures: range) -> Tensor:
        pixels = [faces.render(s, t)['img'] for s, t in zip(structures, textures)]
        return from_bytes(torch.stack([torch.from_numpy(p) for p in pixels]))

    one, other = range(args.count), range(args.count, 2 * args.count)
    given, same, moved = images(one, one), images(one, other), images(other, one)
    print(f'{args.count} pairs of ToyFaces, {args.size} x {args.size}')
    print('| distance | AUC | CPU ms a pair |\n| --- | --- | --- |')
    for name, distance in distances(args.caffe_squeeze).items():
        start = time.process_time()
        x = given.clone().requires_grad_()
        near, far = distance(x, same), distance(x, moved)
        (near + far).sum().backward()
        cost = 1000 * (time.process_time() - start) / (2 * args.count)
        print(f'| {name} | {separation(near, far):.3f} | {cost:.1f} |', flush=True)


if __name__ == '__main__':
    main()

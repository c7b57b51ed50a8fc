"""Export encoder and warp network to ONNX, check the result against PyTorch, and time both.

The model maps images (batch, 3, S, S), RGB in [-1, 1], to correspondence maps (batch, 2, R, R) and
codes; its metadata say what goes in and what comes out.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import timeit
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mmcoordgan.apis import TrainedNetworks, load_trained
from mmcoordgan.cli.outputs import check_file
from mmcoordgan.errors import UserError, explained, explained_errors
from mmcoordgan.io.files import atomic_file
from mmcoordgan.models.networks import encode
from mmcoordgan.version import __version__

MEANING = {
    'images': 'RGB images in [-1, 1], pixel / 127.5 - 1, resized to {side} x {side}: bilinear, '
    'with antialiasing where they shrink',
    'coords': 'correspondence maps, x first, in (-1, 1): the position of every pixel in the '
    'canonical frame. Pixels of two images correspond where their values agree',
    'structure_w': 'structure codes, of which coords are made',
    'texture_w': 'texture codes',
}
OPSET = 18
LARGEST_BATCH = 2**20
"""PyTorch 2.6 needs a bound, which the model does not have."""
TOLERANCE = 1e-4
"""Largest error of an output, relative to its largest value where that is above 1."""


class Correspondence(nn.Module):
    """Images (B, 3, S, S) in [-1, 1] -> what ``outputs`` names: maps (B, 2, R, R) and codes."""

    def __init__(self, trained: TrainedNetworks) -> None:
        super().__init__()
        self.encoder, self.generator = trained.require_encoder(), trained.generator
        self.outputs = ['coords', 'structure_w', 'texture_w']
        if self.encoder.structure_width is None:  # it finds maps directly
            self.outputs.remove('structure_w')

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        encoding = encode(self.encoder, self.generator, images)
        return tuple(getattr(encoding, name) for name in self.outputs)

    def examples(self, batch: int) -> Tensor:
        side = self.encoder.input_size
        return torch.rand(batch, 3, side, side) * 2 - 1


def to_onnx(network: Correspondence, source: str) -> bytes:
    """The model as a file holds it, with metadata."""
    import onnx

    logging.getLogger('torch.onnx').setLevel(logging.ERROR)
    model = torch.onnx.export(
        network,
        (network.examples(2),),
        input_names=['images'],
        output_names=network.outputs,
        dynamic_shapes=({0: torch.export.Dim('batch', max=LARGEST_BATCH)},),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    ).model_proto
    side = network.encoder.input_size
    meaning = {key: MEANING[key].format(side=side) for key in ['images', *network.outputs]}
    about = {'checkpoint': Path(source).name, 'mmcoordgan': __version__}
    onnx.helper.set_model_props(model, {**meaning, **about})
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def start_session(model: bytes, threads: int) -> Callable[[Tensor], list[np.ndarray]]:
    """The exported model in onnxruntime, as a function of images."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=['CPUExecutionProvider'])
    return lambda images: session.run(None, {'images': images.numpy()})


@explained_errors('export_onnx.py')
@torch.no_grad()
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog='export_onnx.py',
        description=__doc__,
        epilog='Exit codes: 0 written, 1 the results differ or writing failed (FILE is as it was), '
        '2 wrong arguments or checkpoint.',
    )
    add = parser.add_argument
    add('checkpoint', help='checkpoint of stage 2 (an encoder), or its work dir')
    add('--out', required=True, metavar='FILE', help='the model: FILE.onnx')
    add('--force', action='store_true', help='replace FILE if it exists')
    add('--config', help='config file, for a checkpoint that does not hold its own')
    add('--threads', type=int, default=torch.get_num_threads(), metavar='N', help='when timed')
    args = parser.parse_args(argv)
    check_file(args.out, ['.onnx'], force=args.force, protected=[args.checkpoint])
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    with explained():
        trained = load_trained(args.checkpoint, args.config)
        network = Correspondence(trained).eval()
    model = to_onnx(network, trained.source)
    session = start_session(model, args.threads)
    for batch in (1, 2, 5):
        images = network.examples(batch)
        for name, ours, theirs in zip(network.outputs, session(images), network(images)):
            error = np.inf
            if ours.shape == theirs.shape:
                error = np.abs(ours - theirs.numpy()).max() / max(1.0, float(theirs.abs().max()))
            print(f'batch of {batch}: largest error of {name}: {error:.1e}')
            if not error < TOLERANCE:
                differs = f'{name} is not within {TOLERANCE:g} of what PyTorch gives'
                raise UserError(f'{args.out} is not written: {differs}', exit_code=1)
    with atomic_file(args.out) as file:
        file.write(model)
    print(f'{args.out}: {len(model) / 2**20:.1f} MiB, opset {OPSET}')
    images = network.examples(1)
    times = (timeit.repeat(lambda f=f: f(images), number=1) for f in (network, session))
    theirs, ours = (1000 * statistics.median(seconds) for seconds in times)
    print(f'one image, {args.threads} threads: PyTorch {theirs:.1f} ms, ONNX {ours:.1f} ms')


if __name__ == '__main__':
    main()

"""Export what turns an image into its correspondence map to ONNX, and check it against PyTorch.

``python tools/model_converters/export_onnx.py CHECKPOINT --out model.onnx`` takes a checkpoint of
stage 2, or its work dir. The model maps images to correspondence maps and codes, for batches of
any size; its metadata say what goes in and what comes out. It is written if onnxruntime's results
are those of PyTorch.
"""

from __future__ import annotations

import argparse
import inspect
import logging
import math
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmcoordgan.apis import TrainedNetworks, load_trained
from mmcoordgan.cli.infer import explained
from mmcoordgan.cli.launch import explained_errors
from mmcoordgan.cli.outputs import check_file
from mmcoordgan.errors import UserError
from mmcoordgan.io.files import atomic_file
from mmcoordgan.models.networks import encode
from mmcoordgan.version import __version__

OUTPUTS = ('coords', 'structure_w', 'texture_w')
OPSET = 18
LARGEST_BATCH = 2**20
"""PyTorch 2.6 needs a bound, which the model does not have."""
TOLERANCE = 1e-4
"""Largest error of an output, relative to its largest value where that is above 1."""
SECONDS, MOST = 5.0, 20
"""Calls are timed for so long, at least three times and at most so often."""


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='export_onnx.py',
        description='Export encoder and warp network to ONNX: images (batch, 3, S, S), RGB in '
        '[-1, 1], to coords (batch, 2, R, R), structure_w and texture_w. Compares onnxruntime with '
        'PyTorch, then times both on the CPU.',
        epilog='0: the results are the same, and the model is written. 1: they are not, or '
        'writing failed, and FILE is as it was. 2: wrong arguments or checkpoint.',
    )
    parser.add_argument('checkpoint', help='checkpoint of stage 2 (an encoder), or its work dir')
    parser.add_argument('--out', required=True, metavar='FILE', help='the model: FILE.onnx')
    parser.add_argument('--force', action='store_true', help='replace FILE if it exists')
    parser.add_argument('--config', help='config file, for a checkpoint that does not hold its own')
    parser.add_argument(
        '--batch-size', type=int, default=1, metavar='N', help='images at once when timed [1]'
    )
    parser.add_argument(
        '--threads', type=int, metavar='N', help="threads of both when timed [PyTorch's default]"
    )
    args = parser.parse_args(argv)
    for name in ('batch_size', 'threads'):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f'--{name.replace("_", "-")} must be at least 1')
    if Path(args.out).suffix != '.onnx':
        parser.error(f'--out {args.out}: the name must end in .onnx')
    return args


def check_libraries() -> None:
    """Raises UserError where ONNX's libraries are missing or PyTorch is too old."""
    missing = [name for name in ('onnx', 'onnxruntime', 'onnxscript') if find_spec(name) is None]
    if missing:
        raise UserError(
            f'{", ".join(missing)} is not installed. Run: pip install onnx onnxruntime onnxscript'
        )
    if 'dynamic_shapes' not in inspect.signature(torch.onnx.export).parameters:
        raise UserError(
            f'PyTorch {torch.__version__} is too old to export: use 2.5 or newer. Checkpoints are '
            'the same for all versions'
        )


class Correspondence(nn.Module):
    """Images (B, 3, S, S) in [-1, 1] -> coords (B, 2, R, R), the codes they come from.

    Without a structure code, if the encoder finds maps directly; ``outputs`` names what there is.
    """

    def __init__(self, trained: TrainedNetworks) -> None:
        super().__init__()
        self.encoder = trained.require_encoder()
        self.generator = trained.generator
        has_code = self.encoder.structure_width is not None
        self.outputs = [name for name in OUTPUTS if has_code or name != 'structure_w']

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        encoding = encode(self.encoder, self.generator, images)
        return tuple(getattr(encoding, name) for name in self.outputs)


def example(network: Correspondence, batch: int) -> Tensor:
    """Images in [-1, 1], noise and smooth ones in turn."""
    side = network.encoder.input_size
    images = torch.rand(batch, 3, side, side)
    smooth = F.interpolate(torch.rand(batch, 3, 4, 4), size=(side, side), mode='bilinear')
    images[1::2] = smooth[1::2]
    return images * 2 - 1


def to_onnx(network: Correspondence, source: str) -> Any:
    """The ``onnx.ModelProto``, with metadata."""
    import onnx

    logging.getLogger('torch.onnx').setLevel(logging.ERROR)
    program = torch.onnx.export(
        network,
        (example(network, 2),),
        input_names=['images'],
        output_names=network.outputs,
        dynamic_shapes=({0: torch.export.Dim('batch', max=LARGEST_BATCH)},),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    model = program.model_proto
    side = network.encoder.input_size
    descriptions = {
        'images': f'RGB images in [-1, 1], pixel / 127.5 - 1, resized to {side} x {side}: '
        'bilinear, with antialiasing where they shrink',
        'coords': 'correspondence maps, x first, in (-1, 1): the position of every pixel in the '
        'canonical frame. Pixels of two images correspond where their values agree',
        'structure_w': 'structure codes, of which coords are made',
        'texture_w': 'texture codes',
    }
    for value in (*model.graph.input, *model.graph.output):
        value.doc_string = descriptions[value.name]
    checkpoint = {'checkpoint': Path(source).name, 'mmcoordgan': __version__}
    onnx.helper.set_model_props(model, {**descriptions, **checkpoint})
    onnx.checker.check_model(model, full_check=True)
    return model


def start_session(model: bytes, threads: int) -> Callable[[Tensor], list[np.ndarray]]:
    """The exported model in onnxruntime, as a function of images."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=['CPUExecutionProvider'])
    return lambda images: session.run(None, {'images': images.numpy()})


def largest_errors(
    names: list[str], got: list[np.ndarray], wanted: tuple[Tensor, ...]
) -> dict[str, float]:
    """The largest error of each output, relative to its largest value where that is above 1.

    It is infinite where the shapes differ.
    """
    errors = {}
    for name, ours, theirs in zip(names, got, wanted):
        if ours.shape != theirs.shape:
            print(f'{name} is {ours.shape}, but in PyTorch {tuple(theirs.shape)}')
            errors[name] = math.inf
            continue
        scale = max(1.0, float(theirs.abs().max()))
        errors[name] = float((torch.from_numpy(ours) - theirs).abs().max()) / scale
    return errors


def milliseconds(calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """The median wall time of calls, made in turn."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    first = time.perf_counter()
    for count in range(MOST):
        if count >= 3 and time.perf_counter() - first > SECONDS:
            break
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) * 1000 for name, values in times.items()}


def not_written(path: str, reason: str) -> bool:
    """Say why there is no model; False."""
    print(f'export_onnx.py: error: {path} is not written: {reason}', file=sys.stderr)
    return False


@torch.no_grad()
def export(args: argparse.Namespace) -> bool:
    """Export, compare, write and time; whether the model is written."""
    check_file(args.out, ['.onnx'], force=args.force, protected=[args.checkpoint])
    torch.manual_seed(0)
    torch.set_num_threads(args.threads or torch.get_num_threads())
    with explained():
        trained = load_trained(args.checkpoint, args.config)
        network = Correspondence(trained).eval()
    check_libraries()
    model = to_onnx(network, trained.source).SerializeToString()
    session = start_session(model, torch.get_num_threads())
    agrees = True
    for batch in (1, 2, 5):
        images = example(network, batch)
        errors = largest_errors(network.outputs, session(images), network(images))
        agrees &= all(error < TOLERANCE for error in errors.values())
        figures = ', '.join(f'{name} {error:.1e}' for name, error in errors.items())
        print(f'batch of {batch}: largest error: {figures}')
    if not agrees:
        return not_written(args.out, f'results are not within {TOLERANCE:g} of those of PyTorch')
    try:
        with atomic_file(args.out) as file:
            file.write(model)
    except OSError as error:
        return not_written(args.out, str(error))
    print(f'{args.out}: {len(model) / 2**20:.1f} MiB, opset {OPSET}')
    images = example(network, args.batch_size)
    times = milliseconds({'PyTorch': lambda: network(images), 'ONNX': lambda: session(images)})
    figures = ', '.join(f'{name} {value:.1f} ms' for name, value in times.items())
    print(f'batch of {args.batch_size}, {torch.get_num_threads()} threads: {figures}')
    return True


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with explained_errors('export_onnx.py'):
        sys.exit(0 if export(args) else 1)


if __name__ == '__main__':
    main()

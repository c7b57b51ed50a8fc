"""Label transfer by tools/infer.py: time, memory, and how good the labels are.

    python tools/analysis_tools/benchmark_inference.py work_dirs/toyfaces_32_encoder
    python tools/analysis_tools/benchmark_inference.py --untrained coordgan/celeba_128_encoder.py

Writes ToyFaces as images and masks into a temporary folder, labels all but the first ones from
those, in a process of its own for each number of images, and prints wall and CPU time, peak
memory, and the IoU of the written PNGs, beside batch size 1, labels that are copied without moving
them, and what SegTransferIoU counts for the same images. Then: how far matches are from the truth,
by their confidence. ``--untrained`` prints the CPU time of label transfer for an image, and of
rendering one, which label transfer leaves out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from measuring import machine
from measuring import measure as measure_call
from PIL import Image

from mmcoordgan.apis import CoordGANInferencer
from mmcoordgan.apis.masks import label_image, read_label_mask
from mmcoordgan.cli.launch import explained_errors
from mmcoordgan.datasets import ToyFaces
from mmcoordgan.errors import UserError
from mmcoordgan.evaluation import SegTransferIoU
from mmcoordgan.evaluation.seg_transfer_iou import confusion_matrix, iou_per_class
from mmcoordgan.registry import MODELS
from mmcoordgan.shipped import read_config

INFER = Path(__file__).parents[1] / 'infer.py'
BINS = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
TEMPERATURES = (0.0025, 0.005, 0.01, 0.02, 0.04)
"""At 128 x 128."""
TEST_SEED = 2000
"""Of configs/_base_/datasets/toyfaces_32_transfer.py."""


class Usage(NamedTuple):
    """What a process took."""

    wall: float
    cpu: float
    peak: float
    """MiB of resident memory at most."""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='benchmark_inference.py',
        description='Measure label transfer by tools/infer.py on ToyFaces.',
    )
    parser.add_argument('checkpoint', nargs='?', help='stage 2, trained on ToyFaces')
    parser.add_argument(
        '--untrained', metavar='CONFIG', help='of stage 2; time its untrained networks instead'
    )
    parser.add_argument(
        '--counts', type=int, nargs='+', default=[100, 1000], help='numbers of queries [100 1000]'
    )
    parser.add_argument('--references', type=int, default=5, metavar='K', help='[5]')
    parser.add_argument('--size', type=int, default=32, help='side of the images [32]')
    parser.add_argument('--seed', type=int, default=TEST_SEED, help=f'of ToyFaces [{TEST_SEED}]')
    parser.add_argument('--batch-size', type=int, default=8, help='[8]')
    parser.add_argument('--refine', type=int, default=0, metavar='STEPS', help='[0]')
    parser.add_argument('--pairs', type=int, default=50, help='for the confidence [50]')
    args = parser.parse_args()
    if (args.checkpoint is None) == (args.untrained is None):
        parser.error('give a checkpoint or --untrained CONFIG')
    return args


def write_untrained(config: str, path: Path) -> None:
    """A checkpoint of untrained networks, whose maps cover the frame as trained ones do.

    Maps that lie in a small part of the frame, as those of a new warp network, take longer.
    """
    cfg = read_config(config)
    cfg.model.generator.warp_residual = True
    state = {}
    with MODELS.switch_scope_and_registry('mmcoordgan') as registry:
        for name in ('generator', 'encoder'):
            network = registry.build(cfg.model[name])
            state.update({f'{name}.{key}': value for key, value in network.state_dict().items()})
    torch.save({'state_dict': state, 'meta': {'cfg': cfg.pretty_text}}, path)


def print_costs(path: Path, count: int = 3) -> None:
    """CPU seconds for each image, at batch size 1."""
    inferencer = CoordGANInferencer(path, device='cpu', show_progress=False, check_domain=False)
    size = inferencer.networks.generator.image_size
    faces = ToyFaces(size=size, length=count + 1, seed=TEST_SEED, cache=False)
    reference, *queries = (faces.render(index, index) for index in range(count + 1))
    images = [query['img'] for query in queries]
    carried = inferencer.iter_transfer_labels(
        reference['img'], reference['gt_seg_map'], images, batch_size=1
    )
    transfer = measure_call(lambda: list(carried), 'cpu').seconds / count
    found = inferencer.encode(images[0])[0]
    rendering = measure_call(lambda: inferencer.reconstruct(found), 'cpu').seconds
    print(f'CPU seconds for an image of {size} x {size}')
    print(f'label transfer{transfer:10.2f}')
    print(f'rendering{rendering:15.2f}')
    print(f'both together{transfer + rendering:11.2f}')


def write_faces(root: Path, faces: ToyFaces) -> None:
    """images/00000.png ... and labels/00000.png ... in the palette of the data set."""
    palette = np.array(faces.metainfo['palette'], np.uint8)
    for name in ('images', 'labels'):
        (root / name).mkdir()
    for index in range(len(faces)):
        sample = faces.render(index, index)
        Image.fromarray(sample['img']).save(root / 'images' / f'{index:05}.png')
        label_image(sample['gt_seg_map'], palette).save(root / 'labels' / f'{index:05}.png')


def run_infer(args: argparse.Namespace, root: Path, out: Path, count: int, batch: int) -> Usage:
    """Label ``count`` images in a new process."""
    queries = root / f'queries_{count}'
    if not queries.exists():
        queries.mkdir()
        for index in range(args.references, args.references + count):
            os.link(root / 'images' / f'{index:05}.png', queries / f'{index:05}.png')
    command = [sys.executable, str(INFER), 'transfer-labels', args.checkpoint, str(queries)]
    command += ['--out', str(out), '--batch-size', str(batch), '--refine', str(args.refine)]
    for index in range(args.references):
        command += [
            '--reference',
            *(str(root / n / f'{index:05}.png') for n in ('images', 'labels')),
        ]
    start = time.perf_counter()
    process = subprocess.Popen([*command, '--device', 'cpu', '--quiet'])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise UserError(f'infer.py ended with exit code {process.returncode}')
    wall = time.perf_counter() - start
    return Usage(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def iou(predicted: list[np.ndarray], truth: list[np.ndarray], classes: int) -> float:
    """Mean IoU in percent, as CoordGAN's benchmark counts."""
    stacked = (torch.from_numpy(np.stack(values)).long() for values in (predicted, truth))
    found, true = stacked
    return float(iou_per_class(confusion_matrix(found[:, None], true, classes)).mean())


def evaluator_figures(
    inferencer: CoordGANInferencer, faces: ToyFaces, args: argparse.Namespace
) -> list[str]:
    """What SegTransferIoU counts for the first of ``args.counts``, by temperature."""
    pixel = inferencer.networks.generator.base_resolution / 128
    temperatures = [inferencer.temperature, *(t / pixel for t in TEMPERATURES)]
    metrics = [
        SegTransferIoU(
            num_classes=len(faces.metainfo['classes']),
            num_references=args.references,
            temperature=temperature,
            ceiling=False,
        )
        for temperature in temperatures
    ]
    number = args.references + args.counts[0]
    images = (faces.render(index, index)['img'] for index in range(number))
    found = inferencer.iter_encode(images, batch_size=args.batch_size, refine=args.refine)
    for index, encoding in enumerate(found):
        labels = torch.from_numpy(faces.render(index, index)['gt_seg_map'])[None]
        sample = {'sample_idx': index, 'coords': torch.from_numpy(encoding.coords)}
        for metric in metrics:
            metric.process(None, [{**sample, 'gt_sem_seg': {'data': labels}}])
    lines = []
    for temperature, metric in zip(temperatures, metrics):
        figures = metric.report(metric._sums())[0]
        values = (figures[key] for key in ('fused_iou', 'iou', 'identity_iou'))
        lines.append(f'{temperature:11.4f}' + ''.join(f'{value:10.2f}' for value in values))
    return lines


def confidence_table(
    inferencer: CoordGANInferencer, faces: ToyFaces, pairs: int, refine: int
) -> list[str]:
    """True distance of matches on faces, by confidence; pairs (0, 1), (2, 3), ..."""
    sure, errors = [], []
    for index in range(0, 2 * pairs, 2):
        a, b = (faces.render(i, i) for i in (index, index + 1))
        found = inferencer.correspond(a['img'], b['img'], refine=refine)
        x, y = np.rint(found.matches).astype(int)
        error = np.linalg.norm(b['gt_coords'][:, y, x] - a['gt_coords'], axis=0)
        face = a['gt_seg_map'] > 0
        sure.append(found.confidence[face])
        errors.append(error[face])
    sure, errors = np.concatenate(sure), np.concatenate(errors)
    lines = []
    for low, high in zip(BINS, BINS[1:]):
        inside = (sure >= low) & ((sure < high) | (high == 1))
        if inside.any():
            mean, near = errors[inside].mean(), 100 * (errors[inside] < 0.1).mean()
            fraction = 100 * inside.mean()
            lines.append(f'{low:.2f}..{high:.2f}{fraction:10.1f} %{mean:12.3f}{near:12.1f} %')
    return lines


def main() -> None:
    args = parse_args()
    with explained_errors('benchmark_inference.py'), tempfile.TemporaryDirectory() as folder:
        if args.references < 1 or min(args.counts) < 1 or args.pairs < 1:
            raise UserError('--references, --counts and --pairs must be at least 1')
        if args.untrained:
            write_untrained(args.untrained, Path(folder, 'x.pth'))
            print(machine('cpu'))
            print_costs(Path(folder, 'x.pth'))
            return
        length = args.references + max(args.counts)
        faces = ToyFaces(size=args.size, length=length, seed=args.seed, cache=False)
        measure(args, Path(folder), faces)


def measure(args: argparse.Namespace, root: Path, faces: ToyFaces) -> None:
    try:
        inferencer = CoordGANInferencer(
            args.checkpoint, device='cpu', show_progress=False, check_domain=False
        )
    except (ValueError, FileNotFoundError) as error:
        raise UserError(str(error)) from None
    classes = len(faces.metainfo['classes'])
    write_faces(root, faces)
    print(machine('cpu'))
    print(
        f'{args.checkpoint}, {args.references} references, {args.size} x {args.size}, '
        f'seed {args.seed}, temperature {inferencer.temperature:g}, refined {args.refine} steps'
    )
    heads = {'images': 8, 'batch': 7, 'wall s': 9, 'CPU s': 8, 'peak MiB': 10}
    heads.update({'IoU': 8, 'copied': 8})
    print(''.join(f'{name:>{width}}' for name, width in heads.items()))
    for count in args.counts:
        for batch in dict.fromkeys((1, args.batch_size)):
            out = root / f'out_{count}_{batch}'
            used = run_infer(args, root, out, count, batch)
            names = [f'{i:05}.png' for i in range(args.references, args.references + count)]
            found = [read_label_mask(out / 'labels' / name).labels for name in names]
            truth = [read_label_mask(root / 'labels' / name).labels for name in names]
            copied = [
                iou(
                    [read_label_mask(root / 'labels' / f'{k:05}.png').labels] * count,
                    truth,
                    classes,
                )
                for k in range(args.references)
            ]
            print(
                f'{count:8}{batch:7}{used.wall:9.1f}{used.cpu:8.1f}{used.peak:10.1f}'
                f'{iou(found, truth, classes):8.2f}{np.mean(copied):8.2f}'
            )
    print(
        f'\nSegTransferIoU for {args.counts[0]} of them, by temperature; the first is the default\n'
    )
    print(f'{"temperature":11}{"fused":>10}{"single":>10}{"copied":>10}')
    print('\n'.join(evaluator_figures(inferencer, faces, args)))
    print(f'\nmatches between {args.pairs} pairs of faces, pixels of the face\n')
    print(f'{"confidence":10}{"pixels":>12}{"mean error":>12}{"error < 0.1":>14}')
    print('\n'.join(confidence_table(inferencer, faces, args.pairs, args.refine)))


if __name__ == '__main__':
    main()

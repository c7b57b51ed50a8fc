"""Label transfer by tools/infer.py: time, memory, and how good the labels are.

    python tools/analysis_tools/benchmark_inference.py work_dirs/toyfaces_32_encoder
    python tools/analysis_tools/benchmark_inference.py --untrained coordgan/celeba_128_encoder.py

Writes ToyFaces as images and masks into a temporary folder and labels all but the first ones from
those, in a process of its own for each number of images. Prints wall and CPU time, peak memory and
the IoU of the written PNGs, beside batch size 1 and labels that are copied without moving them.
``--untrained`` prints the CPU time of label transfer for an image, and of rendering one, which
label transfer leaves out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from measuring import machine, measure
from PIL import Image

from mmcoordgan.apis import CoordGANInferencer
from mmcoordgan.cli.launch import explained_errors
from mmcoordgan.datasets import ToyFaces
from mmcoordgan.datasets.label_files import label_image, read_labels
from mmcoordgan.errors import UserError
from mmcoordgan.evaluation.seg_transfer_iou import confusion_matrix, iou_per_class
from mmcoordgan.registry import MODELS
from mmcoordgan.shipped import read_config

INFER = Path(__file__).parents[1] / 'infer.py'
TEST_SEED = 2000
"""Of configs/_base_/datasets/toyfaces_32_transfer.py."""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Measures label transfer by tools/infer.py on ToyFaces.'
    )
    add = parser.add_argument
    add('checkpoint', nargs='?', help='stage 2, trained on ToyFaces')
    text = 'of stage 2; time its untrained networks instead'
    add('--untrained', metavar='CONFIG', help=text)
    add('--counts', type=int, nargs='+', default=[100, 1000], help='queries [100 1000]')
    add('--references', type=int, default=5, metavar='K', help='[5]')
    add('--size', type=int, default=32, help='side of the images [32]')
    add('--seed', type=int, default=TEST_SEED, help=f'of ToyFaces [{TEST_SEED}]')
    add('--batch-size', type=int, default=8, help='[8]')
    add('--refine', type=int, default=0, metavar='STEPS', help='[0]')
    args = parser.parse_args()
    if (args.checkpoint is None) == (args.untrained is None):
        parser.error('give a checkpoint or --untrained CONFIG')
    if min(args.references, *args.counts) < 1:
        parser.error('--references and --counts must be at least 1')
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
    (image, mask), *queries = (faces_of(faces, index) for index in range(count + 1))
    carried = inferencer.iter_transfer_labels(image, mask, [q for q, _ in queries], batch_size=1)
    transfer = measure(lambda: list(carried), 'cpu').seconds / count
    found = inferencer.encode(image)[0]
    rendering = measure(lambda: inferencer.reconstruct(found), 'cpu').seconds
    print(f'CPU seconds for an image of {size} x {size}')
    print(f'label transfer{transfer:10.2f}')
    print(f'rendering{rendering:15.2f}')
    print(f'both together{transfer + rendering:11.2f}')


def faces_of(faces: ToyFaces, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Image (S, S, 3) and labels (S, S)."""
    sample = faces.render(index, index)
    return sample['img'], sample['gt_seg_map']


def run_infer(args: argparse.Namespace, root: Path, out: Path, count: int, batch: int) -> str:
    """Label ``count`` images in a new process; wall and CPU seconds, and MiB held at most."""
    queries = root / f'queries_{count}'
    queries.mkdir(exist_ok=True)
    command = [sys.executable, INFER, 'transfer-labels', args.checkpoint, queries, '--out', out]
    command += ['--batch-size', batch, '--refine', args.refine, '--device', 'cpu', '--quiet']
    for index in range(args.references + count):
        name = f'{index:05}.png'
        if index < args.references:
            command += ['--reference', root / 'images' / name, root / 'labels' / name]
        elif not (queries / name).exists():
            os.link(root / 'images' / name, queries / name)
    start = time.perf_counter()
    process = subprocess.Popen(list(map(str, command)))
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise UserError(f'infer.py ended with exit code {process.returncode}')
    cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    return f'{time.perf_counter() - start:9.1f}{cpu:8.1f}{peak:10.1f}'


def iou(predicted: np.ndarray, truth: np.ndarray, classes: int) -> float:
    """Mean IoU in percent of labels (N, S, S), as CoordGAN's benchmark counts."""
    found, true = (torch.from_numpy(values).long() for values in (predicted, truth))
    return float(iou_per_class(confusion_matrix(found[:, None], true, classes)).mean())


def run(args: argparse.Namespace, root: Path) -> None:
    print(machine('cpu'))
    if args.untrained:
        write_untrained(args.untrained, root / 'x.pth')
        return print_costs(root / 'x.pth')
    k, length = args.references, args.references + max(args.counts)
    faces = ToyFaces(size=args.size, length=length, seed=args.seed, cache=False)
    classes, palette = len(faces.metainfo['classes']), np.uint8(faces.metainfo['palette'])
    for name in ('images', 'labels'):
        (root / name).mkdir()
    for index in range(length):
        image, mask = faces_of(faces, index)
        Image.fromarray(image).save(root / 'images' / f'{index:05}.png')
        label_image(mask, palette).save(root / 'labels' / f'{index:05}.png')

    def read(folder: Path, indices: range) -> np.ndarray:
        paths = [folder / 'labels' / f'{index:05}.png' for index in indices]
        return np.stack([read_labels(path)[0] for path in paths])

    print(
        f'{args.checkpoint}, {k} references, {args.size} x {args.size}, '
        f'seed {args.seed}, refined {args.refine} steps'
    )
    print('  images  batch   wall s   CPU s  peak MiB     IoU  copied')
    for count in args.counts:
        truth = read(root, range(k, k + count))
        copies = read(root, range(k))[:, None].repeat(count, 1)
        copied = np.mean([iou(copy, truth, classes) for copy in copies])
        for batch in dict.fromkeys((1, args.batch_size)):
            out = root / f'out_{count}_{batch}'
            costs = run_infer(args, root, out, count, batch)
            found = iou(read(out, range(k, k + count)), truth, classes)
            print(f'{count:8}{batch:7}{costs}{found:8.2f}{copied:8.2f}', flush=True)
    return None


if __name__ == '__main__':
    with explained_errors('benchmark_inference.py'), tempfile.TemporaryDirectory() as folder:
        run(parse_args(), Path(folder))

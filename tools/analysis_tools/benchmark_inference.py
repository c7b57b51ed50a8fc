"""Label transfer by tools/infer.py: time, memory, and how good the labels are.

Labels files of ToyFaces from the first ones, in a new process for each number of images and batch
size. Prints wall and CPU time, peak memory and the IoU of the written PNGs, beside labels that are
copied without moving them. --untrained prints the CPU time of label transfer for an image, and of
rendering one, which label transfer leaves out.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from measuring import machine, measure
from mmengine.registry import init_default_scope
from PIL import Image
from torch import Tensor

from mmcoordgan.apis import CoordGANInferencer
from mmcoordgan.datasets import ToyFaces
from mmcoordgan.datasets.label_files import label_image
from mmcoordgan.evaluation.seg_transfer_iou import confusion_matrix, iou_per_class
from mmcoordgan.registry import MODELS
from mmcoordgan.shipped import read_config

INFER = Path(__file__).parents[1] / 'infer.py'
TEST_SEED = 2000
"""Of configs/_base_/datasets/toyfaces_32_transfer.py."""


def print_costs(config: str, path: Path, count: int = 3) -> None:
    """CPU seconds for each image at batch size 1, of untrained networks that pass through a file.

    Their maps cover the frame, as trained ones do.
    """
    cfg = read_config(config)
    cfg.model.generator.warp_residual = True
    init_default_scope('mmcoordgan')
    networks = {name: MODELS.build(cfg.model[name]) for name in ('generator', 'encoder')}
    state = torch.nn.ModuleDict(networks).state_dict()
    torch.save({'state_dict': state, 'meta': {'cfg': cfg.pretty_text}}, path)
    inferencer = CoordGANInferencer(path, device='cpu', show_progress=False, check_domain=False)
    size = inferencer.networks.generator.image_size
    first, *others = map(ToyFaces(size=size, seed=TEST_SEED).get_data_info, range(count + 1))
    queries = [face['img'] for face in others]
    given = first['img'], first['gt_seg_map'], queries
    carried = inferencer.iter_transfer_labels(*given, batch_size=1)
    transfer = measure(lambda: list(carried), 'cpu').seconds / count
    found = inferencer.encode(first['img'])[0]
    rendering = measure(lambda: inferencer.reconstruct(found), 'cpu').seconds
    print(f'CPU seconds for an image of {size} x {size}')
    print(f'label transfer{transfer:10.2f}')
    print(f'rendering{rendering:15.2f}')
    print(f'both together{transfer + rendering:11.2f}')


def run_infer(*arguments: object) -> str:
    """Call infer.py in a new process; wall and CPU seconds, and MiB held at most."""
    start = time.perf_counter()
    command = [sys.executable, *map(str, arguments), '--device=cpu', '--quiet']
    _, status, usage = os.wait4(os.spawnv(os.P_NOWAIT, sys.executable, command), 0)
    if status:
        sys.exit(f'infer.py ended with exit code {os.waitstatus_to_exitcode(status)}')
    cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    return f'{time.perf_counter() - start:9.1f}{cpu:8.1f}{peak:10.1f}'


def iou(found: Tensor, truth: Tensor, classes: int) -> float:
    """Mean IoU in percent of labels (N, S, S), as CoordGAN's benchmark counts."""
    return float(iou_per_class(confusion_matrix(found[None], truth, classes)).mean())


def print_transfers(args: argparse.Namespace, root: Path) -> None:
    """Label toy faces in files; costs, and IoU beside copied labels."""
    k, length = args.references, args.references + max(args.counts)
    faces = ToyFaces(size=args.size, seed=TEST_SEED, cache=False)
    classes, palette = len(faces.metainfo['classes']), np.uint8(faces.metainfo['palette'])
    images, references, labels = [root / f'{i:05}.png' for i in range(length)], [], []
    for path, face in zip(images, map(faces.get_data_info, range(length))):
        Image.fromarray(face['img']).save(path)
        labels.append(torch.from_numpy(face['gt_seg_map']).long())
        if len(labels) <= k:
            mask = path.with_suffix('.mask.png')
            label_image(face['gt_seg_map'], palette).save(mask)
            references += ['--reference', path, mask]
    print(f'{args.checkpoint}, {k} references, {args.size} x {args.size}, seed {TEST_SEED}')
    print('  images  batch   wall s   CPU s  peak MiB     IoU  copied')
    for count in args.counts:
        queries, truth = images[k : k + count], torch.stack(labels[k : k + count])
        copied = np.mean([iou(x.expand_as(truth), truth, classes) for x in labels[:k]])
        for batch in (1, 8):
            out = root / f'out_{count}_{batch}'
            command = [INFER, 'transfer-labels', args.checkpoint, *queries, *references]
            costs = run_infer(*command, '--out', out, '--batch-size', batch)
            written = [np.asarray(Image.open(out / 'labels' / path.name)) for path in queries]
            found = iou(torch.from_numpy(np.stack(written)).long(), truth, classes)
            print(f'{count:8}{batch:7}{costs}{found:8.2f}{copied:8.2f}', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('checkpoint', nargs='?', help='stage 2, trained on ToyFaces')
    add('--untrained', metavar='CONFIG', help='time the untrained networks of this config')
    add('--counts', type=int, nargs='+', default=[100, 1000], help='queries [100 1000]')
    add('--references', type=int, default=5, help='labelled images [5]')
    add('--size', type=int, default=32, help='side of the images [32]')
    args = parser.parse_args()
    if (args.checkpoint is None) == (args.untrained is None):
        parser.error('give a checkpoint or --untrained CONFIG')
    print(machine('cpu'))
    with tempfile.TemporaryDirectory() as folder:
        if args.untrained:
            print_costs(args.untrained, Path(folder, 'x.pth'))
        else:
            print_transfers(args, Path(folder))


if __name__ == '__main__':
    main()

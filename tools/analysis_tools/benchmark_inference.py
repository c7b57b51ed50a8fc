"""Label transfer by tools/infer.py: time and memory.

Labels files of ToyFaces from the first ones, in a new process for each number of images and batch
size. Prints wall and CPU time and peak memory; compare_transfer.py says how good labels are.
--untrained prints the CPU time of label transfer for an image, and of rendering one, which label
transfer leaves out.
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

from mmcoordgan.apis import CoordGANInferencer
from mmcoordgan.datasets import ToyFaces
from mmcoordgan.datasets.label_files import label_image
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


def print_transfers(args: argparse.Namespace, root: Path) -> None:
    """What it costs to label toy faces in files."""
    faces = ToyFaces(size=args.size, seed=TEST_SEED, cache=False)
    palette, references, queries = np.uint8(faces.metainfo['palette']), [], []
    for number in range(args.references + max(args.counts)):
        face, path = faces.get_data_info(number), root / f'{number:05}.png'
        Image.fromarray(face['img']).save(path)
        if number >= args.references:
            queries.append(path)
            continue
        mask = path.with_suffix('.mask.png')
        label_image(face['gt_seg_map'], palette).save(mask)
        references += ['--reference', path, mask]
    print(f'{args.checkpoint}, {args.references} references, {args.size} x {args.size}')
    print('  images  batch   wall s   CPU s  peak MiB')
    for count in args.counts:
        for batch in (1, 8):
            given = args.checkpoint, *queries[:count], *references, '--batch-size', batch
            out = root / f'out_{count}_{batch}'
            costs = run_infer(INFER, 'transfer-labels', *given, '--out', out)
            print(f'{count:8}{batch:7}{costs}', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('checkpoint', nargs='?', help='checkpoint of stage 2')
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

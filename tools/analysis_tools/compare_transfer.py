"""How well labels and key points move from image to image: trained encoders beside their rivals.

Carries labels and key points of 5 references to queries by several methods: copying, registration,
DINOv2 (--dinov2) and trained encoders (--model). Prints one Markdown table for each data set: IoU
by the rule of CelebA-7, NME (mean error over the distance of the outer eye corners) and PCK@.1, in
percent, and CPU seconds to find the maps of one query image.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from transfer_methods import DINOv2, Method, Registration, Trained

from mmcoordgan import datasets
from mmcoordgan.apis import CoordGANInferencer
from mmcoordgan.datasets.celebamask_hq import BENCHMARK
from mmcoordgan.errors import explained_errors
from mmcoordgan.evaluation import KeypointTransferPCK, SegTransferIoU

REFERENCES = 5
EYE_CORNERS = (36, 45)
"""The outer corners of the eyes among 68 points."""
TOY_SIZE, TOY_SEED = 32, 2000
COLUMNS = {
    'iou': 'IoU',
    'fused_iou': 'fused IoU',
    'nme': 'NME',
    'error': 'error',
    'pck@0.1': 'PCK@.1',
}


def read_positions(text: str) -> list[int]:
    """The numbers in a text like 10:15,200:220."""
    positions: list[int] = []
    for part in text.split(','):
        first, _, end = part.partition(':')
        positions += range(int(first), int(end or int(first) + 1))
    return positions


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument_group('data, at least one').add_argument
    add('--celebamask', metavar='DIR', help='CelebAMask-HQ: CelebA-HQ-img/ and packed labels')
    add('--label-dir', default='labels7', help='packed labels of 7 classes [labels7]')
    add('--landmarks', metavar='DIR', help='images/ and landmarks.npz with 68 points a face')
    add('--toyfaces', action='store_true', help='ToyFaces, 32 x 32')
    text = (
        'images of the sorted list, references first, such as 10:15,200:220 [those of the '
        'benchmark, 1,3,5,6,8,100:200; ToyFaces: 0:105]'
    )
    add('--positions', type=read_positions, help=text)
    add('--jitter', action='store_true', help='also measure images moved by SimilarityJitter')
    add('--size', type=int, default=128, help='side of photographs and their labels [128]')
    add = parser.add_argument_group('methods beside copying').add_argument
    text = 'checkpoints of stage 2, their work dirs, or names of bundled models'
    add('--model', nargs='+', default=[], help=text)
    add('--refine', action='store_true', help='also refine structure codes, of such models')
    add('--no-registration', action='store_true', help='leave registration out')
    add('--dinov2', metavar='FILE', help="ONNX file of DINOv2's patch features")
    parser.add_argument('--out', metavar='FILE.json', help='write all numbers')
    args = parser.parse_args()
    if not (args.celebamask or args.landmarks or args.toyfaces):
        parser.error('no data: give --celebamask, --landmarks or --toyfaces')
    if args.positions is not None and len(set(args.positions)) <= REFERENCES:
        parser.error(f'--positions must name more than {REFERENCES} different images')
    if args.dinov2 and not Path(args.dinov2).is_file():
        parser.error(f'--dinov2: there is no file {args.dinov2}')
    return args


def load_data(args: argparse.Namespace, strength: float) -> Iterator[tuple]:
    """Name, data set, positions and side of the images; ``strength`` of the jitter is 0 or 1."""
    last = [datasets.SimilarityJitter(strength=strength), datasets.PackInputs()]
    steps = [datasets.LoadImage(), datasets.ResizeWithSoftLabels(size=args.size), *last]
    given = args.positions or BENCHMARK, args.size
    if args.celebamask:
        labelled = dict(data_root=args.celebamask, label_dir=args.label_dir)
        yield 'celebamask', datasets.CelebAMaskHQ(**labelled, pipeline=steps), *given
    if args.landmarks:
        labelled = dict(data_root=args.landmarks, keypoints='landmarks.npz')
        yield 'landmarks', datasets.LabelledFolder(**labelled, pipeline=steps), *given
    if args.toyfaces:
        faces = datasets.ToyFaces(size=TOY_SIZE, seed=TOY_SEED, pipeline=last)
        yield 'toyfaces', faces, args.positions or range(105), TOY_SIZE


def load_rivals(args: argparse.Namespace, size: int) -> list[Method]:
    """Copying, registration and DINOv2, with maps of ``size`` or, for DINOv2, at most 64."""
    methods = [Method(size)]
    try:
        if not args.no_registration:
            methods.append(Registration(size))
        if args.dinov2:
            methods.append(DINOv2(min(size, 64), args.dinov2))
    except ImportError as error:
        raise ImportError(f"{error}. Run: pip install 'mmcoordgan[rivals]'") from None
    return methods


def load_models(args: argparse.Namespace) -> list[Method]:
    """Trained encoders, and the same with refined structure codes where they have some."""
    methods: list[Method] = []
    for model in args.model:
        inferencer = CoordGANInferencer(
            model, device='cpu', show_progress=False, check_domain=False
        )
        name, encoder = Path(model).name, inferencer.networks.require_encoder()
        methods.append(Trained(inferencer, name))
        if args.refine and encoder.structure_width is not None:
            methods.append(Trained(inferencer, name, refine=True))
    return methods


def build_metrics(name: str, method: Method, size: int) -> list:
    """The metrics of a data set, set up for the maps of a method."""
    common = dict(num_references=REFERENCES, ceiling=False)
    common.update(mode=method.mode, temperature=method.temperature)
    if name == 'landmarks':
        return [KeypointTransferPCK(normalize_by=EYE_CORNERS, coords_key='point_coords', **common)]
    metrics = [SegTransferIoU(label_size=size, **common)]
    if name == 'toyfaces':
        metrics.append(KeypointTransferPCK(foreground_only=True, **common))
    return metrics


@torch.no_grad()
def measure(dataset: Any, positions: Sequence[int], method: Method, metrics: list) -> dict:
    """Numbers of the metrics, and ``seconds``, the CPU time of one query."""
    evaluator = Evaluator(metrics)
    evaluator.dataset_meta = dataset.metainfo
    infos = ({**dataset.get_data_info(p), 'sample_idx': i} for i, p in enumerate(positions))
    samples = [dataset.pipeline(info) for info in infos]
    images = [sample['inputs'].permute(1, 2, 0).numpy() for sample in samples]
    maps = [{'coords': coords} for coords in method.read_references(images[:REFERENCES])]
    start = time.process_time()
    maps += [method.read_query(image) for image in images[REFERENCES:]]
    seconds = (time.process_time() - start) / (len(samples) - REFERENCES)
    for sample, found in zip(samples, maps):
        prediction = sample['data_samples'].to_dict()
        prediction.update({'point_coords': found['coords'], **found})
        evaluator.process([prediction])
    return {**evaluator.evaluate(len(samples)), 'seconds': seconds}


def format_results(title: str, conditions: dict[str, dict]) -> str:
    """A Markdown table: methods in rows; numbers aligned, then jittered, in columns."""
    rows = conditions['aligned']
    keys = [key for key in COLUMNS if key in rows['copying']]
    names = [COLUMNS[key] + ' jittered' * (c != 'aligned') for c in conditions for key in keys]
    lines = [[title, *names, 'CPU-s/image'], ['---', *['---:'] * len(names), '---:']]
    for method, row in rows.items():
        found = [(key, numbers[method][key]) for numbers in conditions.values() for key in keys]
        cells = [f'{number:.{3 if key == "error" else 1}f}' for key, number in found]
        lines.append([method, *cells, f'{row["seconds"]:.3f}'])
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


@explained_errors('compare_transfer.py')
def main() -> None:
    args = parse_args()
    MMLogger.get_current_instance().setLevel('WARNING')  # not the metrics' own tables
    models, methods, results = load_models(args), {}, {}
    for condition, strength in [('aligned', 0), ('jittered', 1)][: 1 + args.jitter]:
        for name, dataset, positions, size in load_data(args, strength):
            rows = results.setdefault(name, {}).setdefault(condition, {})
            if size not in methods:
                methods[size] = [*load_rivals(args, size), *models]
            for method in methods[size]:
                metrics = build_metrics(name, method, size)
                numbers = rows[method.name] = measure(dataset, positions, method, metrics)
                shown = {k: round(v, 3) for k, v in numbers.items() if k in (*COLUMNS, 'seconds')}
                print(f'{name}, {condition}, {method.name}: {shown}', file=sys.stderr)
    print('\n\n'.join(format_results(name, found) for name, found in results.items()))
    if args.out:
        content = {'settings': vars(args), 'results': results}
        Path(args.out).write_text(json.dumps(content, indent=2), encoding='utf-8')


if __name__ == '__main__':
    main()

"""How well labels and key points move from image to image: trained encoders beside their rivals."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmengine.evaluator import Evaluator
from transfer_methods import DINOv2, Method, Registration, Trained

from mmcoordgan.cli.launch import explained, explained_errors
from mmcoordgan.datasets import (
    CelebAMaskHQ,
    LabelledFolder,
    LoadImage,
    PackInputs,
    ResizeWithSoftLabels,
    SimilarityJitter,
    ToyFaces,
)
from mmcoordgan.datasets.base import PipelineDataset
from mmcoordgan.datasets.celebamask_hq import BENCHMARK
from mmcoordgan.errors import UserError
from mmcoordgan.evaluation import KeypointTransferPCK, SegTransferIoU

REFERENCES = 5
EYE_CORNERS = (36, 45)
"""The outer corners of the eyes among 68 points."""
TOY_SIZE, TOY_FACES = 32, 105
COLUMNS = {
    'iou': 'IoU',
    'fused_iou': 'fused IoU',
    'nme': 'NME',
    'error': 'error',
    'pck@0.1': 'PCK@.1',
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Carries labels and key points of 5 references to queries by several methods: '
        'copying, registration, DINOv2 (--dinov2) and trained encoders (--model). Prints one '
        'Markdown table for each data set: IoU by the rule of CelebA-7, in percent; NME (mean '
        'error over the distance of the outer eye corners) and PCK@.1, in percent; and CPU seconds '
        'to find the maps of one query image.'
    )
    data = parser.add_argument_group('data, at least one')
    data.add_argument(
        '--celebamask',
        metavar='DIR',
        help='CelebAMask-HQ: CelebA-HQ-img/ and labels of 7 classes, see --label-dir',
    )
    data.add_argument(
        '--landmarks', metavar='DIR', help='images/ and landmarks.npz with 68 points a face'
    )
    data.add_argument('--toyfaces', action='store_true', help='ToyFaces, 32 x 32')
    data.add_argument(
        '--label-dir', default='labels7', help='packed labels of CelebAMask-HQ [labels7]'
    )
    data.add_argument('--toy-seed', type=int, default=2000, help='seed of ToyFaces [2000]')
    data.add_argument(
        '--positions',
        default='benchmark',
        help='images of the sorted list, references first, such as 10:15,200:220 [benchmark: '
        '1,3,5,6,8,100:200; ToyFaces: 0:105]',
    )
    data.add_argument(
        '--jitter',
        action='store_true',
        help='measure images moved by SimilarityJitter as well, so that alignment cannot help',
    )
    data.add_argument('--jitter-seed', type=int, default=0, help='its seed [0]')
    data.add_argument(
        '--size', type=int, default=128, help='side of the photographs and of their labels [128]'
    )
    methods = parser.add_argument_group('methods beside copying')
    methods.add_argument(
        '--model',
        nargs='+',
        default=[],
        help='checkpoints of stage 2, their work dirs, or names of bundled models',
    )
    methods.add_argument(
        '--refine',
        action='store_true',
        help='also refine codes, of encoders that give structure codes',
    )
    methods.add_argument('--no-registration', action='store_true', help='leave registration out')
    methods.add_argument('--dinov2', metavar='FILE', help="ONNX file of DINOv2's patch features")
    methods.add_argument(
        '--dinov2-tensor', metavar='NAME', help='which tensor of it [its first output]'
    )
    parser.add_argument('--out', metavar='FILE.json', help='write all numbers')
    return parser.parse_args()


class Chosen:
    """Some samples of a data set, counted from 0.

    Args:
        dataset: The data set.
        positions: Of the samples, references first.
    """

    def __init__(self, dataset: PipelineDataset, positions: Sequence[int]) -> None:
        if max(positions) >= len(dataset):
            raise UserError(
                f'--positions names image {max(positions)}, but there are {len(dataset)}'
            )
        self.dataset, self.positions = dataset, positions

    def __iter__(self) -> Iterator[dict]:
        for index, position in enumerate(self.positions):
            info = {**self.dataset.get_data_info(position), 'sample_idx': index}
            yield self.dataset.pipeline(info)


def positions_of(text: str, toy: bool) -> list[int]:
    """The positions that ``--positions`` names."""
    if text == 'benchmark':
        return list(range(TOY_FACES)) if toy else list(BENCHMARK)
    positions: list[int] = []
    try:
        for part in text.split(','):
            first, *end = (int(number) for number in part.split(':'))
            positions += range(first, *end) if end else [first]
    except (ValueError, TypeError):
        raise UserError(f'--positions must look like 10:15,200:220, not {text}') from None
    if len(positions) <= REFERENCES or len(set(positions)) < len(positions) or min(positions) < 0:
        raise UserError(
            f'--positions must name more than {REFERENCES} different images, not {text}'
        )
    return positions


def load_data(args: argparse.Namespace, strength: float) -> dict[str, Chosen]:
    """The data sets by their names; ``strength`` of the jitter is 0 or 1."""
    jitter = SimilarityJitter(seed=args.jitter_seed, strength=strength)
    steps = [LoadImage(), ResizeWithSoftLabels(size=args.size), jitter, PackInputs()]
    found: dict[str, Chosen] = {}
    with explained():
        if args.celebamask:
            faces = CelebAMaskHQ(
                data_root=args.celebamask, label_dir=args.label_dir, pipeline=steps
            )
            found['celebamask'] = Chosen(faces, positions_of(args.positions, toy=False))
        if args.landmarks:
            folder = LabelledFolder(
                data_root=args.landmarks, keypoints='landmarks.npz', pipeline=steps
            )
            found['landmarks'] = Chosen(folder, positions_of(args.positions, toy=False))
        if args.toyfaces:
            positions = positions_of(args.positions, toy=True)
            toys = ToyFaces(
                size=TOY_SIZE,
                length=max(positions) + 1,
                seed=args.toy_seed,
                pipeline=[jitter, PackInputs()],
            )
            found['toyfaces'] = Chosen(toys, positions)
    if not found:
        raise UserError('no data: give --celebamask, --landmarks or --toyfaces')
    return found


def load_methods(args: argparse.Namespace, size: int) -> list[Method]:
    """All rows of a table, for maps of ``size`` where a method can choose."""
    methods = [Method(size)]
    if not args.no_registration:
        methods.append(Registration(size))
    if args.dinov2:
        methods.append(DINOv2(min(size, 64), args.dinov2, args.dinov2_tensor))
    for model in args.model:
        encoder = Trained(model)
        methods.append(encoder)
        if args.refine and encoder.can_refine:
            methods.append(Trained(model, refine=True))
    return methods


def build_metrics(name: str, method: Method, size: int) -> list:
    """The metrics of a data set, set up for the maps of a method."""
    common: dict[str, Any] = dict(
        num_references=REFERENCES,
        mode=method.mode,
        temperature=method.temperature,
        ceiling=False,
    )
    if name == 'celebamask':
        return [SegTransferIoU(label_size=size, **common)]
    if name == 'landmarks':
        return [KeypointTransferPCK(normalize_by=EYE_CORNERS, coords_key='point_coords', **common)]
    return [
        SegTransferIoU(label_size=TOY_SIZE, **common),
        KeypointTransferPCK(foreground_only=True, **common),
    ]


@torch.no_grad()
def measure(name: str, chosen: Chosen, method: Method, size: int) -> dict[str, float]:
    """Numbers of the metrics, and ``seconds``, the CPU time of one query."""
    evaluator = Evaluator(build_metrics(name, method, size))
    evaluator.dataset_meta = chosen.dataset.metainfo
    samples = list(chosen)
    images = [sample['inputs'].permute(1, 2, 0).numpy() for sample in samples]
    maps = [{'coords': coords} for coords in method.read_references(images[:REFERENCES])]
    start = time.process_time()
    maps += [method.read_query(image) for image in images[REFERENCES:]]
    seconds = (time.process_time() - start) / (len(samples) - REFERENCES)
    for sample, found in zip(samples, maps):
        prediction = sample['data_samples'].to_dict()
        prediction.update({'point_coords': found['coords'], **found})
        evaluator.process([prediction])
    logging.disable(logging.INFO)  # the metrics' own tables
    try:
        return {**evaluator.evaluate(len(samples)), 'seconds': seconds}
    finally:
        logging.disable(logging.NOTSET)


def format_results(title: str, conditions: dict[str, dict[str, dict[str, float]]]) -> str:
    """A Markdown table: methods in rows; numbers aligned, then jittered, in columns."""
    columns = [
        (f'{label} {condition}'.replace(' aligned', ''), condition, key)
        for condition, rows in conditions.items()
        for key, label in COLUMNS.items()
        if any(key in row for row in rows.values())
    ]
    head = [title, *(label for label, _, _ in columns), 'CPU-s/image']
    lines = [head, ['---', *('---:' for _ in head[1:])]]
    for method, row in conditions['aligned'].items():
        cells = [conditions[condition][method][key] for _, condition, key in columns]
        digits = [3 if key == 'error' else 1 for _, _, key in columns]
        numbers = [f'{cell:.{digit}f}' for cell, digit in zip(cells, digits)]
        lines.append([method, *numbers, f'{row["seconds"]:.3f}'])
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def compare(args: argparse.Namespace) -> None:
    results: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    conditions = {'aligned': 0, 'jittered': 1} if args.jitter else {'aligned': 0}
    for condition, strength in conditions.items():
        for name, chosen in load_data(args, strength).items():
            size = TOY_SIZE if name == 'toyfaces' else args.size
            for method in load_methods(args, size):
                numbers = measure(name, chosen, method, size)
                rows = results.setdefault(name, {}).setdefault(condition, {})
                rows[method.name] = numbers
                shown = {k: round(v, 3) for k, v in numbers.items() if k in (*COLUMNS, 'seconds')}
                print(f'{name}, {condition}, {method.name}: {shown}', file=sys.stderr)
    print('\n\n'.join(format_results(name, found) for name, found in results.items()))
    if args.out:
        with open(args.out, 'w', encoding='utf-8') as file:
            json.dump({'settings': vars(args), 'results': results}, file, indent=2)


def main() -> None:
    with explained_errors('compare_transfer.py'):
        compare(parse_args())


if __name__ == '__main__':
    main()

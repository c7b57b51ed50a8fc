"""How well a model tells its good matches from its bad ones, on key points that are known.

Carries the key points of every image to the next one. Prints how often a bad match (see --alpha) is
less trusted than a good one (AUC): by the cycle error alone, and by the doubt that expected errors
come from. Then calibrates on the first half of the images, and prints expected and measured errors
on the second.
"""

from __future__ import annotations

import argparse
from itertools import islice

import numpy as np
import torch

from mmcoordgan.apis import CoordGANInferencer
from mmcoordgan.apis.calibration import TOYFACES, calibrate, carry_points, measure, read_known
from mmcoordgan.errors import explained, explained_errors
from mmcoordgan.evaluation.map_quality import separation


@explained_errors('measure_confidence.py')
@explained()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('model', help='checkpoint of stage 2, its work dir, or a bundled model')
    add('source', help=f'folder with images/ and landmarks.npz (68 points a face), or {TOYFACES}')
    add('--jitter', type=float, default=0, help='strength of SimilarityJitter [0]')
    text = 'fraction of the distance of the eyes above which an error is bad [0.1]'
    add('--alpha', type=float, default=0.1, help=text)
    add('--positions', default=':', help='of the images, such as 500:870 [all]')
    args = parser.parse_args()
    inferencer = CoordGANInferencer(args.model, show_progress=False)
    first, last = (int(number) if number else None for number in args.positions.split(':'))
    known = list(islice(read_known(args.source, args.jitter), first, last))
    if len(known) < 4:
        parser.error(f'--positions {args.positions} leaves {len(known)} images: 4 are needed')
    left, right = (0, 1) if args.source == TOYFACES else (36, 45)
    doubts, errors, bads = [], [], []
    for found in measure(inferencer, known):
        doubts.append(found.doubt)
        errors.append(found.error)
        eyes = np.linalg.norm(found.truth[left] - found.truth[right]) / found.side
        bads.append(found.error > args.alpha * eyes)
    bad, doubt = np.concatenate(bads), np.concatenate(doubts)
    inferencer.encoder.held_out = None  # confidence is then that of the cycle error alone
    cycle = np.concatenate([1 - found.confidence for found, *_ in carry_points(inferencer, known)])
    print(f'{len(bad)} matches of {len(known)} images, {bad.mean():.1%} of them bad')
    for name, distrust in (('cycle error', cycle), ('doubt', doubt)):
        auc = separation(*(torch.from_numpy(distrust[kind]) for kind in (~bad, bad)))
        print(f'AUC by {name}: {auc:.3f}')
    half = len(doubts) // 2
    curve = calibrate(np.concatenate(doubts[:half]), np.concatenate(errors[:half]))
    tested, measured = np.concatenate(doubts[half:]), np.concatenate(errors[half:])
    expected = np.interp(tested, *curve)
    print('\n| expected error, % of the side | measured | matches |\n| ---: | ---: | ---: |')
    for group in np.array_split(np.argsort(expected, kind='stable'), 8):
        print(f'| {expected[group].mean():.1%} | {measured[group].mean():.1%} | {len(group)} |')


if __name__ == '__main__':
    main()

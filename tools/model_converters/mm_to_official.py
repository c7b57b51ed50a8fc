"""Convert a checkpoint of this package into one of the reference implementation (NVlabs/CoordGAN).

Optimizer state is not converted. Models that the reference cannot express are refused.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from official_to_mm import TRUST

from mmcoordgan.apis.plain_config import read_setting
from mmcoordgan.errors import UserError, explained, explained_errors
from mmcoordgan.io.files import atomic_file
from mmcoordgan.io.official import NETWORKS, read_checkpoint_file, to_official
from mmcoordgan.models.pretrained import part_of


def check_settings(meta: Mapping[str, Any]) -> None:
    """Refuse a config with settings that the reference cannot express and no tensor shows."""
    try:
        generator = read_setting(meta['cfg'], 'model')['generator']
        levels = generator.get('base_resolution', 128).bit_length() - 3
    except (ValueError, KeyError, TypeError, AttributeError):
        print('the config is not known: settings that no tensor shows are taken as published')
        return
    published = dict(warp_residual=False, mapping_lr_multiplier=0.01, num_levels=levels)
    for name, value in published.items():
        if generator.get(name) not in (None, value):
            raise UserError(
                f'the reference has no generator with {name}={generator[name]}, only {value}'
            )


@explained_errors('mm_to_official.py')
@explained()
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog='mm_to_official.py', description=__doc__)
    add = parser.add_argument
    add('src', help='checkpoint of a training here, or of official_to_mm.py')
    text = 'checkpoint to write; the reference takes the iteration from the name: 300000.pt'
    add('dst', help=text)
    add('--trust', action='store_true', help=TRUST)
    args = parser.parse_args(argv)
    checkpoint = read_checkpoint_file(args.src, args.trust)
    state = {str(name): value for name, value in checkpoint.get('state_dict', checkpoint).items()}
    parts = {part: part_of(state, part) for part, _ in NETWORKS.values()}
    parts = {part: tensors for part, tensors in parts.items() if tensors}
    if 'encoder' in parts and 'generator' in parts:  # stage 2 holds the averaged one alone
        parts.setdefault('generator_ema', parts['generator'])
    content = to_official(parts, args.src)
    check_settings(checkpoint.get('meta', {}))
    Path(args.dst).parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(args.dst) as file:
        torch.save(content, file)
    print(f'{args.dst}: {", ".join(content)}')


if __name__ == '__main__':
    main()

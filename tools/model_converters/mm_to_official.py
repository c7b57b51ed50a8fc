"""Convert a checkpoint of this package into one of the reference implementation (NVlabs/CoordGAN).

``python tools/model_converters/mm_to_official.py SRC DST``
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mmcoordgan.apis.plain_config import read_setting
from mmcoordgan.io.files import atomic_file
from mmcoordgan.io.official import NETWORKS, read_checkpoint_file, to_official
from mmcoordgan.io.official_names import FROM_RGB_LAYERS


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='mm_to_official.py',
        description='Convert a checkpoint of CoordGAN or CoordGANInversion into one of the '
        'reference implementation (NVlabs/CoordGAN). Optimizer state is not converted. Models that '
        'the reference cannot express are refused.',
    )
    parser.add_argument('src', help='checkpoint of a training here, or of official_to_mm.py')
    parser.add_argument(
        'dst',
        help='checkpoint to write; the reference takes the iteration from the name: 300000.pt',
    )
    parser.add_argument(
        '--trust',
        action='store_true',
        help='read SRC even if it holds more than tensors and plain values. This may run any code '
        'in it: use it only for files whose origin you know',
    )
    return parser.parse_args(argv)


def state_dicts(state: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """State dicts of the networks by name. Stage 2 holds only the averaged generator."""
    known = {part for part, _ in NETWORKS.values()}
    parts: dict[str, dict[str, Any]] = {}
    for name, tensor in state.items():
        part, _, rest = str(name).partition('.')
        if part in known:
            parts.setdefault(part, {})[rest] = tensor
    if 'encoder' in parts and 'generator' in parts:
        parts.setdefault('generator_ema', parts['generator'])
    return parts


def check_settings(meta: Mapping[str, Any]) -> None:
    """Refuse what the reference cannot express and no tensor shows.

    Raises:
        ValueError: The config in the checkpoint has such a setting.
    """
    try:
        generator = read_setting(meta['cfg'], 'model')['generator']
        levels = generator.get('base_resolution', 128).bit_length() - 3
        published = dict(warp_residual=False, mapping_lr_multiplier=0.01, num_levels=levels)
        found = {name: generator.get(name) for name in published}
    except (ValueError, KeyError, TypeError, AttributeError):
        print('the config is not known: settings that no tensor shows are taken as published')
        return
    for name, value in found.items():
        if value not in (None, published[name]):
            raise ValueError(
                f'the reference has no generator with {name}={value}, only {published[name]}'
            )


def convert(src: str, dst: str, trust: bool) -> None:
    checkpoint = read_checkpoint_file(src, trust)
    state = checkpoint.get('state_dict', checkpoint)
    if not isinstance(state, Mapping):
        raise ValueError(f'{src}: state_dict is no dict, but {type(state).__name__}')
    parts = state_dicts(state)
    content = to_official(parts, src)
    check_settings(checkpoint.get('meta', {}))
    inputs = [name for name in parts.get('discriminator', {}) if name.startswith('from_rgb.')]
    if 'd' in content and len(inputs) < 2 * FROM_RGB_LAYERS:
        print('the layers of d for other image sizes are new and untrained')
    Path(dst).expanduser().parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(Path(dst).expanduser()) as file:
        torch.save(content, file)
    print(f'{dst}: {", ".join(content)}')


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    try:
        convert(args.src, args.dst, args.trust)
    except (ValueError, OSError) as error:
        print(f'mm_to_official.py: error: {error}', file=sys.stderr)
        sys.exit(2)


if __name__ == '__main__':
    main()

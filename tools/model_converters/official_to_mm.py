"""Convert a checkpoint of the reference implementation (NVlabs/CoordGAN), of stage 1 or 2.

Writes a checkpoint of MMEngine and, with --dump-config, a config for it: for tools/test.py,
load_from, and tools/train.py --resume, which starts with new optimizers.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmcoordgan.errors import UserError, explained, explained_errors
from mmcoordgan.io.files import atomic_file
from mmcoordgan.io.official import (
    NETWORKS,
    from_official,
    official_arguments,
    read_checkpoint_file,
)
from mmcoordgan.registry import type_name
from mmcoordgan.shipped import read_config
from mmcoordgan.version import __version__

OFFICIAL_LARGE_ITERATIONS = 600_000
TRUST = (
    'read SRC even if it holds more than tensors and plain values. This may run any code in '
    'it: use it only for files whose origin you know'
)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='official_to_mm.py', description=__doc__)
    add = parser.add_argument
    add('src', help='checkpoint of the reference')
    add('dst', help='checkpoint to write')
    add('--dump-config', metavar='FILE', help='also write the matching config (FILE.py)')
    text = 'take data, losses and schedule from this config [the published one that fits]'
    add('--base-config', metavar='FILE', help=text)
    text = "iterations that SRC was trained for [the number in SRC's name, as in 300000.pt, or 0]"
    add('--iteration', type=int, metavar='N', help=text)
    add('--trust', action='store_true', help=TRUST)
    args = parser.parse_args(argv)
    if args.iteration is None:
        name = Path(args.src).stem
        args.iteration = int(name) if name.isdecimal() and len(name) >= 6 else 0
    return args


def matching_config(model: dict[str, Any], source: str, base: str | None) -> Config:
    """Put a model's networks and sizes into the base config, or into the published one."""
    size, resolution = (model['generator'][k] for k in ('image_size', 'base_resolution'))
    name = 'celeba_128' if size == resolution else 'celeba_512'
    if model['type'] == 'CoordGANInversion':
        name = 'celeba_128_encoder'
    path = base or f'coordgan/{name}.py'
    cfg = read_config(path)
    kind = type_name(cfg.get('model', {}).get('type'))
    if kind != model['type']:
        raise UserError(
            f'{path} is a config of {kind}, but {source} needs one of {model["type"]}: give '
            'another one with --base-config'
        )
    if 'discriminator' in cfg.model:
        cfg.model.discriminator.image_size = size
    for key, settings in model.items():  # update() would merge
        cfg.model[key] = settings
    for key in ('stage1_checkpoint', 'pretrained_generator'):
        cfg.model.pop(key, None)
    if 'image_size' in cfg:
        cfg.image_size = size
    set_sizes(cfg._cfg_dict, size, resolution)
    if size > resolution:
        # The reference counts on from the 300,000 iterations with smaller images.
        cfg.train_cfg.max_iters = OFFICIAL_LARGE_ITERATIONS
    return cfg


def set_sizes(part: Any, image_size: int, resolution: int) -> None:
    """Train with images of side ``image_size``; test at the correspondence map's resolution."""
    if isinstance(part, dict):
        if part.get('type') == 'LoadImage' and 'size' in part:
            part['size'] = image_size
        elif part.get('type') == 'ResizeWithSoftLabels':
            part['size'] = resolution
        elif 'reference_size' in part:
            part['reference_size'] = resolution
        part = part.values()
    elif not isinstance(part, (list, tuple)):
        return
    for inner in part:
        set_sizes(inner, image_size, resolution)


@explained_errors('official_to_mm.py')
@explained()
def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    content = read_checkpoint_file(args.src, args.trust)
    networks, sizes = from_official(content, args.src), {}
    for key, settings in official_arguments(content, args.src).items():
        part, build = NETWORKS[key]
        sizes[part.removesuffix('_ema')] = dict(type=build.__name__, **settings)
    average = networks.get('generator_ema', networks.get('generator'))
    if average is None:
        raise UserError(f'{args.src} holds no generator (g or g_ema)')
    kind, parts = 'CoordGAN', {'generator': average, 'generator_ema': average, **networks}
    if 'encoder' in networks:  # stage 2 renders with the averaged generator of stage 1
        kind, parts = 'CoordGANInversion', dict(generator=average, encoder=networks['encoder'])
    tensors = torch.nn.ModuleDict(parts).state_dict()
    dropped = [str(key) for key in content if key not in NETWORKS]
    if dropped:
        print(f'not converted: {", ".join(dropped)}')
    model = dict(type=kind, **{part: sizes[part] for part in parts if part in sizes})
    text = matching_config(model, args.src, args.base_config).pretty_text
    source = Path(args.src)
    official = dict(
        source=source.name,
        sha256=hashlib.sha256(source.read_bytes()).hexdigest(),
        converted_by=f'mmcoordgan {__version__}',
    )
    checkpoint = dict(
        meta=dict(epoch=0, iter=args.iteration, cfg=text, official=official),
        state_dict={'iteration': torch.tensor(args.iteration), **tensors},
        message_hub=dict(log_scalars={}, runtime_info={'cfg': text}, resumed_keys={}),
    )
    Path(args.dst).parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(args.dst) as file:
        torch.save(checkpoint, file)
    print(f'{args.dst}: {kind} ({", ".join(parts)}), iteration {args.iteration}')
    if args.dump_config is not None:
        Path(args.dump_config).write_text(text)
        print(f'{args.dump_config}: the matching config')


if __name__ == '__main__':
    main()

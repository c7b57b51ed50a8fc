"""Convert a checkpoint of the reference implementation (NVlabs/CoordGAN).

``python tools/model_converters/official_to_mm.py SRC DST --dump-config CONFIG`` makes a checkpoint
and a config for ``tools/test.py CONFIG DST``, for ``load_from`` and for ``tools/train.py CONFIG
--resume DST``.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmcoordgan.apis.official_checkpoint import (
    OfficialCheckpoint,
    read_official_checkpoint,
    write_checkpoint_file,
)
from mmcoordgan.apis.official_conversion import official_to_mm
from mmcoordgan.shipped import find_config, shipped_root
from mmcoordgan.version import __version__

OFFICIAL_LARGE_ITERATIONS = 600_000


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='official_to_mm.py',
        description='Convert a checkpoint of the reference implementation (NVlabs/CoordGAN), of '
        'stage 1 or 2, into one of MMEngine. Sizes are inferred from the tensors; every tensor is '
        'checked.',
    )
    parser.add_argument('src', help='checkpoint of the reference')
    parser.add_argument('dst', help='checkpoint to write')
    parser.add_argument(
        '--dump-config', metavar='FILE', help='also write the matching config (FILE.py)'
    )
    parser.add_argument(
        '--base-config',
        metavar='FILE',
        help='config whose data, losses and schedule to take [celeba_128.py, celeba_512.py or '
        'celeba_128_encoder.py of configs/coordgan]',
    )
    parser.add_argument(
        '--iteration',
        type=int,
        metavar='N',
        help="iterations that SRC was trained for [the number that is SRC's name, as in "
        '300000.pt, else the steps of its optimizer, else 0]',
    )
    parser.add_argument(
        '--trust',
        action='store_true',
        help='read SRC even if it holds more than tensors and plain values, which may run any '
        'code that it holds: only for files of known origin',
    )
    return parser.parse_args(argv)


def matching_config(
    official: OfficialCheckpoint, networks: dict[str, Any], base: str | None
) -> Config:
    """The base config with the checkpoint's networks and sizes.

    Raises:
        ValueError: the base config is for the other stage.
    """
    size, resolution = networks['generator']['image_size'], official.base_resolution
    second = networks['type'] == 'CoordGANInversion'
    name = 'celeba_128_encoder' if second else 'celeba_128' if size == resolution else 'celeba_512'
    path = find_config(base or str(shipped_root() / 'configs' / 'coordgan' / f'{name}.py'))
    cfg = Config.fromfile(path)
    kind = cfg.get('model', {}).get('type')
    if str(kind).split('.')[-1] != networks['type']:
        raise ValueError(
            f'{path} is a config of {kind}, but {official.source} needs one of {networks["type"]}: '
            'give another one with --base-config'
        )
    if 'discriminator' not in networks and 'discriminator' in cfg.model:
        cfg.model.discriminator.image_size = size
    for part, settings in networks.items():
        cfg.model[part] = settings
    for key in ('stage1_checkpoint', 'pretrained_generator'):
        cfg.model.pop(key, None)
    set_sizes(cfg, size, resolution)
    if size > resolution:
        # The reference counts on from the 300,000 iterations of the smaller pictures.
        cfg.train_cfg.max_iters = OFFICIAL_LARGE_ITERATIONS
    return cfg


def set_sizes(cfg: Config, image_size: int, resolution: int) -> None:
    """Train with pictures of ``image_size``, test at the correspondence map's resolution."""
    if 'image_size' in cfg:
        cfg.image_size = image_size
    loaders = [cfg.get(f'{name}_dataloader') or {} for name in ('train', 'val', 'test')]
    steps = [loader.get('dataset', {}).get('pipeline') or [] for loader in loaders]
    for step in (
        step for pipeline in [*steps, cfg.get('train_pipeline') or []] for step in pipeline
    ):
        if step['type'] == 'Resize':
            step['scale'] = (image_size, image_size)
        elif step['type'] == 'LoadImage' and 'size' in step:
            step['size'] = image_size
        elif step['type'] == 'ResizeWithSoftLabels':
            step['size'] = resolution
    parts: list[Any] = [cfg.get('custom_hooks') or []]
    parts += [cfg.get(f'{name}_evaluator') or [] for name in ('val', 'test')]
    for part in parts:
        for component in [part] if isinstance(part, dict) else part:
            if 'reference_size' in component:
                component['reference_size'] = resolution


def iteration_in_name(path: str) -> int | None:
    """The number that a checkpoint is named by, of six digits or more."""
    stem = Path(path).stem
    return int(stem) if stem.isdecimal() and len(stem) >= 6 else None


def sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def convert(args: argparse.Namespace) -> None:
    if args.dump_config is not None and Path(args.dump_config).suffix != '.py':
        raise ValueError(f'--dump-config {args.dump_config}: the name must end in .py')
    official = read_official_checkpoint(args.src, trust=args.trust)
    iteration = iteration_in_name(args.src) if args.iteration is None else args.iteration
    checkpoint, notes = official_to_mm(official, iteration)
    meta = checkpoint['meta']
    cfg = matching_config(official, meta['official']['model'], args.base_config)
    text = cfg.pretty_text
    meta['cfg'] = checkpoint['message_hub']['runtime_info']['cfg'] = text
    meta['official'].update(
        source=Path(args.src).name,
        sha256=sha256(args.src),
        converted_by=f'mmcoordgan {__version__}',
    )
    write_checkpoint_file(checkpoint, args.dst)
    for note in notes:
        print(note)
    carried = 'optimizer' in checkpoint
    print(f'{args.dst}: {cfg.model.type}, {official.base_resolution} x {official.base_resolution}')
    print(f'iteration {meta["iter"]}, {"with" if carried else "without"} optimizer state')
    if args.dump_config is not None:
        Path(args.dump_config).parent.mkdir(parents=True, exist_ok=True)
        Path(args.dump_config).write_text(text)
        print(f'{args.dump_config}: the matching config')


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    try:
        convert(args)
    except (ValueError, OSError) as error:
        print(f'official_to_mm.py: error: {error}', file=sys.stderr)
        sys.exit(2)


if __name__ == '__main__':
    main()

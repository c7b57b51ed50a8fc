"""Convert a checkpoint of the reference implementation (NVlabs/CoordGAN).

``python tools/model_converters/official_to_mm.py SRC DST --dump-config CONFIG`` makes a checkpoint
and a config for ``tools/test.py CONFIG DST``, for ``load_from`` and for ``tools/train.py CONFIG
--resume DST``, which starts with new optimizers.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmcoordgan.io.files import atomic_file
from mmcoordgan.io.official import (
    NETWORKS,
    from_official,
    official_arguments,
    read_checkpoint_file,
)
from mmcoordgan.shipped import find_config, shipped_root
from mmcoordgan.version import __version__

STAGE1 = {
    'generator': ('g', 'g_ema'),
    'generator_ema': ('g_ema', 'g'),
    'discriminator': ('d',),
    'patch_discriminator': ('d_patch',),
}
STAGE2 = {'generator': ('g_ema', 'g'), 'encoder': ('e',)}
"""Our networks -> the reference's keys that each is taken from: the first that is there.

Stage 2 renders with the averaged generator of stage 1."""
OFFICIAL_LARGE_ITERATIONS = 600_000


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='official_to_mm.py',
        description='Convert a checkpoint of the reference implementation (NVlabs/CoordGAN), of '
        'stage 1 or 2, into one of MMEngine. Sizes are read from the tensors, and every tensor is '
        'checked. Optimizer state is not converted.',
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
        '300000.pt, or 0]',
    )
    parser.add_argument(
        '--trust',
        action='store_true',
        help='read SRC even if it holds more than tensors and plain values. This may run any code '
        'in it: use it only for files whose origin you know',
    )
    return parser.parse_args(argv)


def matching_config(networks: dict[str, Any], source: str, base: str | None) -> Config:
    """Put a checkpoint's networks and sizes into the base config.

    Args:
        networks: Settings of the model: its type, its networks.
        source: Name of the checkpoint, for messages.
        base: Base config, or None for the published one.

    Raises:
        ValueError: The base config is for the other stage.
    """
    size = networks['generator']['image_size']
    resolution = networks['generator']['base_resolution']
    second = networks['type'] == 'CoordGANInversion'
    name = 'celeba_128_encoder' if second else 'celeba_128' if size == resolution else 'celeba_512'
    path = find_config(base or str(shipped_root() / 'configs' / 'coordgan' / f'{name}.py'))
    cfg = Config.fromfile(path)
    kind = cfg.get('model', {}).get('type')
    if str(kind).split('.')[-1] != networks['type']:
        raise ValueError(
            f'{path} is a config of {kind}, but {source} needs one of {networks["type"]}: give '
            'another one with --base-config'
        )
    if 'discriminator' not in networks and 'discriminator' in cfg.model:
        cfg.model.discriminator.image_size = size
    for part, settings in networks.items():
        cfg.model[part] = settings
    for key in ('stage1_checkpoint', 'pretrained_generator'):
        cfg.model.pop(key, None)
    set_sizes(cfg, size, resolution)
    if size > resolution:
        # The reference counts on from the 300,000 iterations with smaller images.
        cfg.train_cfg.max_iters = OFFICIAL_LARGE_ITERATIONS
    return cfg


def set_sizes(cfg: Config, image_size: int, resolution: int) -> None:
    """Train with images of side ``image_size``; test at the correspondence map's resolution."""
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


def iteration_in_name(path: str) -> int:
    """The number in the name of a checkpoint, of six digits or more; 0 if there is none."""
    stem = Path(path).stem
    return int(stem) if stem.isdecimal() and len(stem) >= 6 else 0


def sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def convert(args: argparse.Namespace) -> None:
    if args.dump_config is not None and Path(args.dump_config).suffix != '.py':
        raise ValueError(f'--dump-config {args.dump_config}: the name must end in .py')
    content = read_checkpoint_file(args.src, args.trust)
    arguments = official_arguments(content, args.src)
    networks = from_official(content, args.src)
    if not {'generator', 'generator_ema'} & set(networks):
        raise ValueError(f'{args.src} holds no generator (g or g_ema)')
    model: dict[str, Any] = dict(type='CoordGANInversion' if 'e' in arguments else 'CoordGAN')
    state: dict[str, torch.Tensor] = {}
    for part, keys in (STAGE2 if 'e' in arguments else STAGE1).items():
        key = next((key for key in keys if key in arguments), None)
        if key is None:
            print(f'{keys[0]} is not there: the checkpoint has no {part}')
            continue
        if key != keys[0]:
            print(f'{keys[0]} is not there: {part} is taken from {key}')
        name, build = NETWORKS[key]
        state.update({f'{part}.{k}': v for k, v in networks[name].state_dict().items()})
        if part != 'generator_ema':
            model[part] = dict(type=build.__name__, **arguments[key])
    dropped = [str(key) for key in content if key not in arguments]
    if dropped:
        print(f'not converted: {", ".join(dropped)}')
    iteration = iteration_in_name(args.src) if args.iteration is None else args.iteration
    state['iteration'] = torch.tensor(iteration)
    cfg = matching_config(model, args.src, args.base_config)
    text = cfg.pretty_text
    official = dict(
        source=Path(args.src).name,
        sha256=sha256(args.src),
        converted_by=f'mmcoordgan {__version__}',
    )
    checkpoint = dict(
        meta=dict(epoch=0, iter=iteration, cfg=text, official=official),
        state_dict=state,
        message_hub=dict(log_scalars={}, runtime_info={'cfg': text}, resumed_keys={}),
    )
    Path(args.dst).expanduser().parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(Path(args.dst).expanduser()) as file:
        torch.save(checkpoint, file)
    print(f'{args.dst}: {cfg.model.type}, iteration {iteration}')
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

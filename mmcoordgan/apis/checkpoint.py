"""The networks of a checkpoint, from that file alone."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Union

import torch
from mmengine.config import Config
from torch import Tensor

from mmcoordgan.evaluation.transfer_metric import temperature_at
from mmcoordgan.io.files import load_checkpoint
from mmcoordgan.io.work_dir import last_checkpoint
from mmcoordgan.models.networks import Encoder, Encoding, Generator, encode
from mmcoordgan.models.pretrained import averaged_part, check_fit
from mmcoordgan.models.refinement import Refinement
from mmcoordgan.registry import MODELS, type_name
from mmcoordgan.shipped import read_config
from mmcoordgan.zoo import list_models, model_path

from .domain import HeldOut, read_held_out
from .plain_config import read_setting

ConfigSource = Union[str, Path, Config, Mapping, None]

ALLOWED = {
    'generator': {'CoordGANGenerator'},
    'encoder': {'CoordGANEncoder', 'DenseEncoder', 'TemplateEncoder'},
}
"""Registered classes that a checkpoint's own config may name. Add yours, if building it from any
literal arguments is harmless: ``ALLOWED['encoder'].add('MyEncoder')``."""
LIMITS = {
    **dict.fromkeys(('mapping_layers', 'num_levels', 'num_texture_codes'), 64),
    **dict.fromkeys(('image_size', 'base_resolution', 'input_size', 'map_size'), 2048),
    **dict.fromkeys(('work_size', 'feature_size'), 2048),
}
"""The largest numbers of layers, and sides of images and maps, that a config may ask for."""
MAX_LENGTH, MAX_SETTING = 64, 2**16
"""The same for lists, which have an element for each layer, and for all other numbers."""
NONSENSE = (ValueError, TypeError, KeyError, AttributeError, RuntimeError, ArithmeticError)
"""What a config of nonsense leads to."""
MIN_TEMPERATURE = 1e-6
"""It takes the nearest pixel; 10,000 times less overflows float32 in the soft transfer."""


@dataclass(frozen=True)
class TrainedNetworks:
    """What a trained checkpoint of either stage offers, in evaluation mode."""

    generator: Generator
    """The averaged generator."""
    encoder: Encoder | None
    """None in checkpoints of stage 1."""
    refinement: Refinement | None
    """How the model's config refines codes, if it does."""
    perceptual: dict[str, Any] | None
    """Config of the perceptual distance: plain values from the file; nothing is built of them."""
    arguments: dict[str, dict[str, Any]]
    """Constructor arguments of ``generator`` and ``encoder``, by these names."""
    source: str
    """Path of the file."""
    temperature: float | None = None
    """Of the config's label transfer, at the size of the maps; 0: hard; None: there is none."""
    held_out: HeldOut | None = None
    """What the model does on held-out images; None if the file does not say."""

    @torch.no_grad()
    def invert(self, images: Tensor) -> Encoding:
        """Codes and maps of images: RGB (B, 3, H, W) in [-1, 1], resized to the encoder's input.

        Convention: maps are x first, in (-1, 1); two pixels correspond where their values agree.
        ValueError: the checkpoint has no encoder.
        """
        return encode(self.require_encoder(), self.generator, images)

    @torch.no_grad()
    def quick_maps(self, images: Tensor) -> Tensor:
        """Maps (B, 2, h, w) as :meth:`invert` finds them, or before a template moves them."""
        find: Any = getattr(self.encoder, 'unmoved', self.invert)
        coords: Tensor = find(images).coords
        return coords

    def require_encoder(self) -> Any:
        if self.encoder is None:
            raise ValueError(f'{self.source} (stage 1) has no encoder: it can only sample images')
        return self.encoder


def load_trained(
    checkpoint: str | Path, config: ConfigSource = None, device: str | torch.device = 'cpu'
) -> TrainedNetworks:
    """Load the generator of a checkpoint, and in stage 2 the encoder.

    The checkpoint's own config says how they are built. It is parsed, never run: a file of unknown
    origin builds no class outside ``ALLOWED``, runs no code, and makes no network larger than
    itself. A config that you give may name any registered class.

    Args:
        checkpoint: A checkpoint file, the work dir of a training or the name of a bundled model.
        config: Config file (or its name in the package), for a checkpoint without one; it is run,
            as configs are. Or a config.
        device: Where the networks go.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, unsafe, no CoordGAN, or does not fit its config, or
            ``config`` cannot be read; says why.
    """
    given = read_config(str(config)) if isinstance(config, (str, Path)) else config
    path = find_checkpoint(checkpoint)
    content = load_checkpoint(path)
    state = content.get('state_dict') if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping):
        raise ValueError(
            f'{path} holds no state_dict; tools/model_converters/official_to_mm.py converts files '
            'of the reference implementation'
        )
    try:
        model = _setting(content, given, 'model')
        arguments, networks = {}, {}
        for name in ('generator', 'encoder'):
            tensors = averaged_part(state, name)
            if name == 'encoder' and not tensors:  # of stage 1
                continue
            kind, arguments[name] = _class_and_arguments(model, name, trusted=given is not None)
            _check_size(arguments[name], name, tensors, os.path.getsize(path))
            with torch.device('meta'):  # a config that does not fit the tensors costs no memory
                check_fit(kind(**arguments[name]), tensors, name)
            built = kind(**arguments[name])
            built.load_state_dict(tensors)
            networks[name] = built.eval().requires_grad_(False).to(device)
        generator, encoder = networks['generator'], networks.get('encoder')
        side = getattr(encoder, 'map_size', generator.base_resolution)
        settings = model.get('refinement')
        return TrainedNetworks(
            generator=generator,
            encoder=encoder,
            refinement=Refinement(**settings) if settings else None,
            perceptual=model.get('perceptual'),
            arguments=arguments,
            source=path,
            temperature=_temperature(content, given, side),
            held_out=read_held_out(content.get('held_out')),
        )
    except NONSENSE as error:
        raise ValueError(f'{path} cannot be used: {error}') from None


def find_checkpoint(source: str | Path) -> str:
    """The path of a checkpoint: itself, the last one of a work dir, or that of a bundled model."""
    path = os.path.expanduser(source)
    if os.path.isdir(path):
        if last := last_checkpoint(path):
            return last
        raise FileNotFoundError(f'{path} is a folder without checkpoints: give a checkpoint file')
    if os.path.exists(path):
        return path
    if bundled := model_path(str(source)):
        return bundled
    near = get_close_matches(str(source), list_models(), n=1)
    hint = f'; did you mean {near[0]}?' if near else ''
    raise FileNotFoundError(f'checkpoint {path} does not exist{hint}')


def choose_temperature(networks: TrainedNetworks, given: float | None) -> float:
    """The given temperature, or the config's, or 0.01 at 128 x 128 maps, scaled to others."""
    origin = ''
    if given is None and networks.temperature is not None:
        given, origin = networks.temperature, f' from the config of {networks.source}'
    if given is None:
        given = temperature_at(networks.generator.base_resolution, 'soft', 0.01, 128)
    if given != 0 and not MIN_TEMPERATURE <= given < math.inf:
        raise ValueError(f'temperature must be 0 or >= {MIN_TEMPERATURE:g}, not {given}{origin}')
    return given


def _setting(content: Mapping, config: Config | Mapping | None, name: str) -> Any:
    """A setting of the given config, or else of the text in the checkpoint."""
    if config is not None:
        return config.get(name)
    text = (content.get('meta') or {}).get('cfg')
    if not isinstance(text, str):
        raise ValueError('it does not hold its config (meta.cfg): give the config file as well')
    return read_setting(text, name)


def _temperature(content: Mapping, config: Config | Mapping | None, width: int) -> float | None:
    """What the config's SegTransferIoU uses for maps of this width; None if it makes no sense."""
    with suppress(ValueError, TypeError, AttributeError, OverflowError):
        found = _setting(content, config, 'test_evaluator')
        for metric in found if isinstance(found, (list, tuple)) else [found]:
            if type_name(metric.get('type')) == 'SegTransferIoU':
                mode, base = metric.get('mode', 'soft'), float(metric.get('temperature', 0.01))
                scaled = temperature_at(width, mode, base, metric.get('reference_size'))
                return scaled if mode == 'hard' or 0 < scaled < math.inf else None
    return None


def _class_and_arguments(model: Mapping, name: str, trusted: bool) -> tuple[Any, dict[str, Any]]:
    """The class of a network and its constructor's arguments, from the model's config."""
    stored = model.get(name)
    arguments = dict(stored) if isinstance(stored, Mapping) else {}
    kind = arguments.pop('type', None)
    if trusted and isinstance(kind, type):
        return kind, arguments
    written = type_name(kind)
    MODELS.import_from_location()
    # Not MODELS.get: that imports whatever a name with dots says.
    found = MODELS.module_dict.get(written)
    if found is None or not (trusted or written in ALLOWED[name]):
        raise ValueError(f'its {name} is a {written}, not a {" or ".join(sorted(ALLOWED[name]))}')
    return found, arguments


def _check_size(
    arguments: Mapping[str, Any], name: str, tensors: Mapping[str, Tensor], file_size: int
) -> None:
    """Refuse a network larger than its file, or settings out of reason, before it is built."""
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if claimed > file_size:
        raise ValueError(f'its {name} claims {claimed} bytes, but the file has {file_size}')
    for key, value in arguments.items():
        limit = LIMITS.get(key, MAX_SETTING)
        if isinstance(value, Sequence) and not isinstance(value, str):
            value, limit = len(value), MAX_LENGTH
        if isinstance(value, (int, float)) and not abs(value) <= limit:
            raise ValueError(f'the setting model.{name}.{key} of its config is above {limit}')

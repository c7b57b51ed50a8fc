"""The networks of a checkpoint, from that file alone."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

import torch
from mmengine.config import Config
from torch import Tensor

from mmcoordgan.engine.checkpoint_files import check_checkpoint_file, safe_load_options
from mmcoordgan.engine.launch import LaunchError, read_config
from mmcoordgan.models.inversion import Inversion
from mmcoordgan.models.networks import CoordGANEncoder, CoordGANGenerator
from mmcoordgan.models.pretrained import check_fit, part_of
from mmcoordgan.models.refinement import Refinement
from mmcoordgan.work_dir import last_checkpoint

from .plain_config import read_setting

ConfigSource = Union[str, Path, Config, Mapping, None]

COUNTS = ('mapping_layers', 'num_levels', 'num_texture_codes')
"""Settings that say how many layers a network has."""
SIDES = ('image_size', 'base_resolution', 'input_size')
"""Settings whose every doubling is a layer."""


@dataclass(frozen=True)
class TrainedNetworks:
    """What a checkpoint of either stage is good for once it is trained; in evaluation mode."""

    generator: CoordGANGenerator
    """The averaged generator."""
    encoder: CoordGANEncoder | None
    """None in checkpoints of stage 1."""
    refinement: Refinement | None
    """How the model's config refines codes, if it does."""
    perceptual: dict[str, Any] | None
    """Config of the perceptual distance: plain values from the file, with nothing built of them."""
    arguments: dict[str, dict[str, Any]]
    """Constructor arguments of ``generator`` and ``encoder``, by these names."""
    source: str
    """Path of the file."""
    temperature: float | None = None
    """With which the config evaluates label transfer, at the size of the generator's maps; 0 where
    it transfers hard, None where it does not say."""

    @torch.no_grad()
    def invert(self, images: Tensor) -> Inversion:
        """Codes, maps and reconstructions of pictures.

        Convention: maps are x first, in (-1, 1); two pixels correspond where their values agree.

        Args:
            images: RGB (B, 3, H, W) in [-1, 1]; resized to the encoder's input size.

        Raises:
            ValueError: If the checkpoint has no encoder.
        """
        return self.decode(*self.require_encoder()(images)[:2])

    @torch.no_grad()
    def decode(self, structure_w: Tensor, texture_w: Tensor) -> Inversion:
        """Maps and pictures of codes."""
        coords = self.generator.warp(structure_w)
        picture = self.generator.synthesize(coords, texture_w)
        return Inversion(structure_w, texture_w, coords, picture)

    def require_encoder(self) -> CoordGANEncoder:
        """The encoder.

        Raises:
            ValueError: If the checkpoint has none.
        """
        if self.encoder is None:
            raise ValueError(
                f'{self.source} is a checkpoint of stage 1 and has no encoder, so that it can '
                'sample pictures but not read them: give a checkpoint of stage 2 '
                '(CoordGANInversion)'
            )
        return self.encoder


def load_trained(
    checkpoint: str | Path,
    config: ConfigSource = None,
    device: str | torch.device = 'cpu',
) -> TrainedNetworks:
    """Build the generator, and in stage 2 the encoder, of a checkpoint and load their weights.

    The checkpoint's own config says how they are built. It is read as data: files of unknown
    origin can name no other class and run no code, and no network is larger than its file.

    Args:
        checkpoint: File that a training of :class:`~mmcoordgan.models.CoordGAN` or
            :class:`~mmcoordgan.models.CoordGANInversion` wrote, or its work dir, which stands for
            the checkpoint written last.
        config: Config file (or its name in the package), for a checkpoint without one; it is run,
            as configs are. Or a config.
        device: Where the networks go.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, unsafe, no CoordGAN, or does not fit its config, or
            ``config`` cannot be read; says why.
    """
    given = _read_config(config) if isinstance(config, (str, Path)) else config
    path = _checkpoint_file(checkpoint)
    check_checkpoint_file(path)
    content = torch.load(path, **safe_load_options(Path(path)))
    state = content.get('state_dict') if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping):
        raise ValueError(
            f'{path} holds no state_dict: it is no checkpoint of mmcoordgan. One of the reference '
            'implementation is converted by tools/model_converters/official_to_mm.py'
        )
    try:
        model = _model(content, given)
        arguments, networks = {}, {}
        for name, network, tensors in _stored_networks(state):
            arguments[name] = _arguments(network, model, name)
            _check_size(arguments[name], name, tensors, os.path.getsize(path))
            networks[name] = _build(network, arguments[name], name, tensors).to(device)
        settings = model.get('refinement')
        refinement = Refinement(**settings) if settings else None
        temperature = _temperature(content, given, networks['generator'].base_resolution)
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RuntimeError,
        ArithmeticError,
    ) as error:
        raise ValueError(f'{path} cannot be used: {error}') from None
    return TrainedNetworks(
        networks['generator'],
        networks.get('encoder'),
        refinement,
        model.get('perceptual'),
        arguments,
        path,
        temperature,
    )


def _checkpoint_file(checkpoint: str | Path) -> str:
    """A work dir stands for the checkpoint that was written last in it."""
    path = os.path.expanduser(checkpoint)
    if not os.path.isdir(path):
        return path
    last = last_checkpoint(path)
    if last is None:
        raise FileNotFoundError(
            f'{path} is a folder without the file last_checkpoint, so no work dir of a training: '
            'give a checkpoint file'
        )
    return last


def _read_config(path: str | Path) -> Config:
    try:
        return read_config(str(path))
    except LaunchError as error:
        raise ValueError(str(error)) from None


def _model(content: Mapping, config: Config | Mapping | None) -> Mapping:
    model = _setting(content, config, 'model')
    if not isinstance(model, Mapping):
        raise ValueError(f'the setting model of its config is a {type(model).__name__}')
    return model


def _setting(content: Mapping, config: Config | Mapping | None, name: str) -> Any:
    """A setting of the given config, or else of the text in the checkpoint."""
    if config is not None:
        return config.get(name)
    meta = content.get('meta')
    text = meta.get('cfg') if isinstance(meta, Mapping) else None
    if not isinstance(text, str):
        raise ValueError('it does not hold its config (meta.cfg): give the config file as well')
    return read_setting(text, name)


def _temperature(content: Mapping, config: Config | Mapping | None, width: int) -> float | None:
    """What the config's SegTransferIoU uses for maps of this width."""
    try:
        found = _setting(content, config, 'test_evaluator')
    except ValueError:  # it evaluates nothing
        return None
    for metric in found if isinstance(found, (list, tuple)) else [found]:
        if not isinstance(metric, Mapping) or 'SegTransferIoU' not in str(metric.get('type')):
            continue
        if metric.get('mode') == 'hard':
            return 0.0
        size = metric.get('reference_size') or width
        with suppress(TypeError, ValueError, OverflowError):
            scaled = float(metric.get('temperature', 0.01)) * float(size) / width
            if 0 < scaled < math.inf:
                return scaled
    return None


def _stored_networks(state: Mapping) -> Iterator[tuple[str, Callable[..., Any], dict]]:
    """Name, class and tensors of the networks in a checkpoint; stage 2 keeps the averaged one."""
    averaged = part_of(state, 'generator_ema')
    yield 'generator', CoordGANGenerator, averaged or part_of(state, 'generator')
    encoder = part_of(state, 'encoder')
    if encoder:
        yield 'encoder', CoordGANEncoder, encoder


def _arguments(network: Callable[..., Any], model: Mapping, name: str) -> dict[str, Any]:
    """Of the constructor, whose class the config must name, and may not choose."""
    stored = model.get(name)
    arguments = dict(stored) if isinstance(stored, Mapping) else {}
    kind = arguments.pop('type', None)
    written = kind if isinstance(kind, str) else getattr(kind, '__name__', str(kind))
    if written.rpartition('.')[2] != network.__name__:
        raise ValueError(f'its {name} is a {written}, not a {network.__name__}')
    return arguments


def _check_size(
    arguments: Mapping[str, Any], name: str, tensors: Mapping[str, Tensor], file_size: int
) -> None:
    """Refuse a network of more layers or bytes than its file, before anything is built."""
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if claimed > file_size:
        raise ValueError(
            f'the tensors of its {name} claim {claimed} bytes of a file of {file_size}'
        )
    for key, value in arguments.items():
        layers = 0
        if isinstance(value, Sequence) and not isinstance(value, str):
            layers = len(value)
        elif isinstance(value, int) and key in (*COUNTS, *SIDES):
            layers = value if key in COUNTS else value.bit_length()
        if layers > len(tensors):
            raise ValueError(
                f'the setting model.{name}.{key} of its config asks for more layers than the file '
                f'holds tensors of the {name} ({len(tensors)})'
            )


def _build(
    network: Callable[..., Any], arguments: dict, name: str, tensors: Mapping[str, Tensor]
) -> Any:
    """A network with the file's tensors."""
    # Without memory first, so that a config which does not belong to the tensors costs nothing.
    without_memory = torch.device('meta')
    with without_memory if hasattr(without_memory, '__enter__') else nullcontext():
        check_fit(network(**arguments), tensors, name)
    built = network(**arguments)
    built.load_state_dict(tensors)
    return built.eval().requires_grad_(False)

"""Checkpoint files of the reference implementation (NVlabs/CoordGAN): read, check, load."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Callable, NamedTuple

import torch
from torch import Tensor, nn

from mmcoordgan.engine.checkpoint_files import (
    atomic_file,
    refusal_reason,
    safe_load_options,
    unreadable,
)
from mmcoordgan.models.networks import (
    CoordGANDiscriminator,
    CoordGANEncoder,
    CoordGANGenerator,
    CoordGANPatchDiscriminator,
)

from . import official_architecture as architecture
from .official_architecture import ArchitectureError
from .official_layout import FROM_RGB_LAYERS, LAYOUTS, Layout, misfits
from .official_names import from_official, official_names


class OfficialNetwork(NamedTuple):
    """What the reference stores under one key."""

    part: str
    """Our name of it."""
    build: Callable[..., nn.Module]
    infer: Callable[..., dict[str, Any]]


NETWORKS = {
    'g': OfficialNetwork('generator', CoordGANGenerator, architecture.infer_generator),
    'g_ema': OfficialNetwork('generator_ema', CoordGANGenerator, architecture.infer_generator),
    'd': OfficialNetwork('discriminator', CoordGANDiscriminator, architecture.infer_discriminator),
    'd_patch': OfficialNetwork(
        'patch_discriminator', CoordGANPatchDiscriminator, architecture.infer_patch_discriminator
    ),
    'e': OfficialNetwork('encoder', CoordGANEncoder, architecture.infer_encoder),
}


class OfficialCheckpoint(NamedTuple):
    """A checkpoint of the reference whose networks are known and whose tensors fit them."""

    source: str
    content: dict[str, Any]
    """The file's content, in the reference's names."""
    arguments: dict[str, dict[str, Any]]
    """By the reference's key: the arguments of our network's constructor."""
    base_resolution: int

    def names(self, key: str) -> dict[str, str]:
        """The reference's parameter names of one network -> ours, in the reference's order."""
        size = self.arguments[key].get('image_size', self.base_resolution)
        return official_names(
            key, list(self.layout(key)), base_resolution=self.base_resolution, image_size=size
        )

    def layout(self, key: str) -> Layout:
        """Every tensor of one network."""
        return LAYOUTS[key](**self.arguments[key])

    def state_dict(self, key: str, target: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One network's tensors in our names and in the shapes of ``target``."""
        size = self.arguments[key].get('image_size', self.base_resolution)
        return from_official(
            key,
            self.content[key],
            target,
            base_resolution=self.base_resolution,
            image_size=size,
        )


def load_official_checkpoint(path: str | Path, trust: bool = False) -> dict[str, nn.Module]:
    """Networks from a checkpoint of the reference implementation (stage 1 or 2).

    Their architecture is inferred from the tensors; what leaves no trace there is taken as
    published (see :mod:`.official_architecture`). The file is memory-mapped while its tensors are
    copied, so that it does not take memory beside the networks.

    Args:
        path: A file that the reference wrote, with the keys 'g', 'd', 'g_ema' and 'd_patch' (stage
            1) or 'g', 'e' and 'g_ema' (stage 2), or some of them.
        trust: Also read files that hold more than tensors and plain values. Reading such a file
            may run any code that it holds: only for files of known origin.

    Returns:
        ``generator``, ``generator_ema``, ``discriminator``, ``patch_discriminator``, ``encoder``:
        those that the file holds, in evaluation mode, on the CPU. ``generator_ema`` requires no
        gradients.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be read safely, or is damaged, or is no checkpoint of the
            reference; or if tensors are missing, left over, of another shape, or filters other
            than the reference's (lists them by name).
    """
    checkpoint = read_official_checkpoint(path, trust=trust)
    networks = {}
    for key, arguments in checkpoint.arguments.items():
        kind = NETWORKS[key]
        with torch.random.fork_rng(devices=[]):  # initial weights are replaced
            network = kind.build(**arguments)
        network.load_state_dict(checkpoint.state_dict(key, network.state_dict()), strict=True)
        networks[kind.part] = network.requires_grad_(key != 'g_ema').eval()
    return networks


def read_official_checkpoint(path: str | Path, trust: bool = False) -> OfficialCheckpoint:
    """Read a file of the reference, infer its architecture and check every tensor.

    Arguments and errors as for :func:`load_official_checkpoint`.
    """
    content = read_checkpoint_file(path, trust=trust)
    return inspect_official(content, str(path))


def inspect_official(content: Mapping[str, Any], source: str) -> OfficialCheckpoint:
    """Infer the architecture of a checkpoint of the reference and check every tensor.

    Args:
        content: The reference's keys and values.
        source: Name of the file, for messages.

    Raises:
        ValueError: As for :func:`load_official_checkpoint`.
    """
    keys = [key for key in NETWORKS if key in content]
    if not keys:
        hint = (
            '; it looks like a checkpoint of MMEngine, which needs no conversion'
            if 'state_dict' in content
            else ''
        )
        raise ValueError(
            f'{source} is no checkpoint of the reference implementation: it has none of the keys '
            f'{", ".join(NETWORKS)}, but {", ".join(map(str, list(content)[:10])) or "nothing"}'
            f'{hint}'
        )
    for key in keys:
        if not isinstance(content[key], Mapping):
            raise ValueError(f'{source}: {key} is no state dict, but {type(content[key]).__name__}')
        if not all(isinstance(name, str) for name in content[key]):
            raise ValueError(f'{source}: {key} is no state dict: not all of its keys are names')
    try:
        checkpoint = _infer(content, source, keys)
    except ValueError as error:
        raise ValueError(f'{source}: {error}') from None
    problems = [
        problem for key in keys for problem in misfits(key, content[key], checkpoint.layout(key))
    ]
    if problems:
        raise ValueError(
            f'{source} does not fit the architecture that most of its tensors show '
            f'(problems: {len(problems)}): {"; ".join(problems)}'
        )
    _check_together(checkpoint)
    return checkpoint


def _infer(content: Mapping[str, Any], source: str, keys: list[str]) -> OfficialCheckpoint:
    arguments: dict[str, dict[str, Any]] = {}
    for key in sorted(keys, key=['g_ema', 'g', 'e', 'd_patch', 'd'].index):
        base, size = 0, 0
        if key == 'd':
            size = _discriminator_size(content['d'])
            base = _base_resolution(arguments) or _base_of_discriminator(content['d'], size)
        names = official_names(key, list(content[key]), base_resolution=base, image_size=size)
        shapes = {
            ours: architecture.plain_sizes(ours, content[key][theirs].shape)
            for theirs, ours in names.items()
            if isinstance(content[key][theirs], Tensor)
        }
        arguments[key] = NETWORKS[key].infer(
            shapes, {ours: f'{key}.{n}' for n, ours in names.items()}
        )
        if key == 'd':
            arguments[key].update(
                image_size=size, input_sizes=tuple(base << k for k in range(FROM_RGB_LAYERS))
            )
    base = _base_resolution(arguments) or arguments.get('d', {}).get('input_sizes', (0,))[0]
    return OfficialCheckpoint(source, dict(content), {k: arguments[k] for k in keys}, base)


def _base_resolution(arguments: Mapping[str, Mapping[str, Any]]) -> int:
    """The side of the correspondence map as generator or encoder show it; 0 if neither is there."""
    for key, name in (('g_ema', 'base_resolution'), ('g', 'base_resolution'), ('e', 'input_size')):
        if key in arguments:
            return arguments[key][name]
    return 0


def _discriminator_size(state: Mapping[str, Any]) -> int:
    """The side of the largest picture: every residual block halves it, down to 4."""
    blocks = {name.split('.')[1] for name in state if name.startswith('convs.')}
    if not blocks:
        raise ArchitectureError('the discriminator (d) has no residual blocks')
    return 4 << len(blocks)


def _base_of_discriminator(state: Mapping[str, Any], image_size: int) -> int:
    """The base resolution of a file without generator, by the widths behind the from-RGB layers."""

    def width(name: str) -> int:
        shape = getattr(state.get(name), 'shape', ())
        return shape[0] if shape else -1

    fitting = []
    for halvings in range(FROM_RGB_LAYERS):
        pairs = [
            (f'from_rgb.{k}.1.bias', f'convs.{halvings - k}.conv1.1.bias')
            for k in range(halvings + 1)
        ]
        if all(width(entry) == width(block) for entry, block in pairs):
            fitting.append(image_size >> halvings)
    if len(fitting) != 1:
        raise ArchitectureError(
            'the file holds a discriminator (d) without generator, and its widths do not tell the '
            f'base resolution: {fitting or "none"} would fit'
        )
    return fitting[0]


def _check_together(checkpoint: OfficialCheckpoint) -> None:
    """Networks that each are complete, but do not belong together."""
    arguments, problems = checkpoint.arguments, []
    generator = arguments.get('g_ema', arguments.get('g'))
    if generator and arguments.get('g', generator) != generator:
        different = [
            f'{name} {value} and {generator[name]}'
            for name, value in arguments['g'].items()
            if value != generator[name]
        ]
        problems.append(f'g and g_ema differ in {", ".join(different)}')
    encoder, discriminator = arguments.get('e'), arguments.get('d')
    if generator and encoder:
        for ours, theirs in (
            ('input_size', 'base_resolution'),
            ('structure_width', 'structure_width'),
            ('texture_width', 'texture_width'),
        ):
            if encoder[ours] != generator[theirs]:
                problems.append(
                    f"the encoder's {ours} is {encoder[ours]}, the generator's {theirs} is "
                    f'{generator[theirs]}'
                )
    if generator and discriminator and discriminator['image_size'] != generator['image_size']:
        problems.append(
            f'the generator makes pictures of side {generator["image_size"]}, the discriminator '
            f'takes {discriminator["image_size"]}'
        )
    if problems:
        raise ValueError(f'{checkpoint.source}: {"; ".join(problems)}')


def blank_network(key: str, arguments: Mapping[str, Any]) -> nn.Module:
    """One of our networks without memory for its weights: for names, shapes and their order."""
    meta: Any = torch.device('meta')
    with torch.random.fork_rng(devices=[]), meta if hasattr(meta, '__enter__') else nullcontext():
        return NETWORKS[key].build(**arguments)


# ---------------------------------------------------------------------- files


def read_checkpoint_file(path: str | Path, trust: bool = False) -> dict[str, Any]:
    """The content of a checkpoint file, memory-mapped where the file's format allows it.

    Args:
        path: A local file.
        trust: Fall back to reading that may run code from the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is refused or damaged, or holds no dict.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {path} does not exist')
    options = safe_load_options(path)
    try:
        content = torch.load(str(path), **options)
    except pickle.UnpicklingError as error:
        if not trust:
            raise _refusal(path, error) from None
        content = _load_trusted(path, {**options, 'weights_only': False})
    except Exception as error:  # bytes that are no pickle fail in any way
        raise unreadable(path, error) from None
    if not isinstance(content, dict):
        raise ValueError(f'checkpoint {path} holds no dict, but {type(content).__name__}')
    return content


def _load_trusted(path: Path, options: dict[str, Any]) -> Any:
    """Objects of any kind, whose classes may be missing here or raise what they like."""
    try:
        return torch.load(str(path), **options)
    except Exception as error:
        raise unreadable(path, error) from None


def _refusal(path: Path, error: Exception) -> ValueError:
    return ValueError(
        f'checkpoint {path} is refused: it holds more than tensors and plain values, and reading '
        f'that may run any code that the file holds ({refusal_reason(error)}'
        '). If you trust whoever wrote the file, read it with trust=True (on the command line: '
        '--trust)'
    )


def write_checkpoint_file(content: Mapping[str, Any], path: str | Path) -> None:
    """Save to a file that is either complete or not there; it may be the one that was read."""
    path = Path(path).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        torch.save(content, file)

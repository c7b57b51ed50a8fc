"""The reference implementation's numbers, and our networks with its deterministic weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import reference_inputs as inputs  # NumPy only, stored beside the numbers
import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmcoordgan.io.official_names import official_names
from mmcoordgan.models.networks import (
    CoordGANDiscriminator,
    CoordGANEncoder,
    CoordGANGenerator,
    CoordGANPatchDiscriminator,
    CropRectangles,
)

DATA = Path(__file__).parent / 'data' / 'reference'
CONFIGS = Path(__file__).parents[1] / 'configs' / 'coordgan'


@cache
def numbers(name: str) -> dict:
    """The arrays of ``<name>.npz``, or the values of ``<name>`` where it ends in ``.json``."""
    if name.endswith('.json'):
        return json.loads((DATA / name).read_text())
    return dict(np.load(DATA / f'{name}.npz'))


def rnd(tag: str, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(inputs.rnd(tag, shape))


def image(tag: str, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(inputs.image(tag, shape))


def crops(tag: str, rows: int) -> CropRectangles:
    return CropRectangles(**{k: torch.from_numpy(v) for k, v in inputs.crops(tag, rows).items()})


def fill(network: nn.Module, key: str, kind: str, *, base_resolution: int) -> nn.Module:
    """Load the reference's deterministic weights of ``manifest[kind][key]`` into our network."""
    manifest = numbers('manifest.json')[kind][key]
    state = {
        name: torch.from_numpy(inputs.fill(name, tuple(entry['shape'])))
        for name, entry in manifest.items()
        if entry['kind'] == 'param'
    }
    target = network.state_dict()
    names = official_names(key, target, base_resolution)
    assert sorted(names) == sorted(state)
    network.load_state_dict(
        {ours: state[theirs].reshape(target[ours].shape) for theirs, ours in names.items()}
    )
    return network


KINDS = {32: 's32', 128: 's32_x4'}
"""Sides of the images that small networks make or judge -> their kinds in the manifest."""
SMALL_GENERATOR = dict(
    base_resolution=32,
    structure_dim=32,
    texture_dim=32,
    mapping_layers=2,
    channels=16,
    channel_base=256,
    warp_channels=32,
)
SMALL_DISCRIMINATOR = dict(channels=16, channel_base=256, input_sizes=(32, 64, 128))
SMALL_PATCH = dict(channels=16, channel_base=128)
SMALL_ENCODER = dict(
    input_size=32,
    structure_width=32,
    texture_width=32,
    num_texture_codes=8,
    channels=(4, 8, 16, 32),
    texture_channels=(64, 128),
)


def small_generator(image_size: int = 32) -> CoordGANGenerator:
    network = CoordGANGenerator(image_size=image_size, **SMALL_GENERATOR)
    return fill(network, 'g', KINDS[image_size], base_resolution=32)


def small_discriminator(image_size: int = 32) -> CoordGANDiscriminator:
    network = CoordGANDiscriminator(image_size=image_size, **SMALL_DISCRIMINATOR)
    return fill(network, 'd', KINDS[image_size], base_resolution=32)


def small_patch_discriminator() -> CoordGANPatchDiscriminator:
    return fill(CoordGANPatchDiscriminator(**SMALL_PATCH), 'd_patch', 's32', base_resolution=32)


def small_encoder() -> CoordGANEncoder:
    return fill(CoordGANEncoder(**SMALL_ENCODER), 'e', 's32', base_resolution=32)


def relative_error(actual: Tensor, expected: np.ndarray) -> float:
    """Largest absolute difference over the largest absolute expected value."""
    assert tuple(actual.shape) == expected.shape, (tuple(actual.shape), expected.shape)
    difference = np.abs(actual.detach().numpy().astype(np.float64) - expected).max()
    return float(difference / max(np.abs(expected).max(), 1e-30))


def stored_beside(
    stored: dict, prefix: str, names: dict[str, str], tensors: dict[str, Tensor | None]
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Ours and theirs of all tensors that are stored, or of some of their entries (``#idx``)."""
    for official, ours in names.items():
        key, tensor = f'{prefix}/{official}', tensors[ours]
        if key in stored or f'{key}#idx' in stored:
            index = stored.get(f'{key}#idx', slice(None))
            expected = stored[key if key in stored else f'{key}#val'].flatten()
            found = np.zeros(1) if tensor is None else tensor.detach().flatten().numpy()[index]
            yield official, found, expected


def check_gradients(network: nn.Module, key: str, term: str, tolerance: float) -> int:
    """Compare a network's gradients with the stored ones of a loss term; how many there are."""
    stored = numbers('small_s32_grads')
    gradients = {name: p.grad for name, p in network.named_parameters()}
    names = official_names(key, gradients, base_resolution=32)
    scale = max(np.abs(v).max() for k, v in stored.items() if k.startswith(f'{term}/'))
    pairs = list(stored_beside(stored, term, names, gradients))
    for official, found, expected in pairs:
        difference = np.abs(found - expected).max()
        assert difference <= tolerance * max(np.abs(expected).max(), 1e-3 * scale), official
    return len(pairs)


def published_losses(config: str) -> dict:
    return Config.fromfile(CONFIGS / f'{config}.py').model.losses


def vgg_state_dict() -> dict[str, Tensor]:
    """VGG16 weights in torchvision's names, filled as the reference numbers require."""
    slices = {(0, 2): 1, (5, 7): 2, (10, 12, 14): 3, (17, 19, 21): 4, (24, 26, 28): 5}
    widths = [3, 64, 64, 128, 128, *[256] * 3, *[512] * 6]
    state, layer = {}, 0
    for positions, number in slices.items():
        for position in positions:
            shape = (widths[layer + 1], widths[layer], 3, 3)
            for kind, size in (('weight', shape), ('bias', shape[:1])):
                value = inputs.fill(f'net.slice{number}.{position}.{kind}', size)
                state[f'features.{position}.{kind}'] = torch.from_numpy(value)
            layer += 1
    return state

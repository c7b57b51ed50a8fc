"""Read requests for samples, from MMEngine and from MMagic, and answer them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmcoordgan.integrations import mmagic

from .networks.protocols import Generator

SAMPLE_MODELS = ('ema', 'orig', 'ema/orig')
REQUEST_KEYS = ('structure_z', 'texture_z', 'num_batches', 'use_ema', 'swap_seed', 'sample_model')


def read_request(inputs: Tensor | Mapping, data_samples: Any = None) -> dict[str, Any]:
    """Read the inputs of :meth:`CoordGAN.forward` as a request; of images only the number counts.

    Raises:
        ValueError: If a key is unknown, as are MMagic's ``sample_kwargs``.
    """
    if not isinstance(inputs, Mapping):
        inputs = {'num_batches': len(inputs)}
    request: dict[str, Any] = {k: v for k, v in inputs.items() if k != 'sample_kwargs' or v}
    images = request.pop('img', None)  # of MMagic's data sets
    if set(request) - set(REQUEST_KEYS) or request.get('sample_model', 'ema') not in SAMPLE_MODELS:
        raise ValueError(
            f'a request for samples knows the keys {", ".join(REQUEST_KEYS)}, sample_model being '
            f'one of {SAMPLE_MODELS}, but got {request}'
        )
    for counted in (request.get('structure_z'), request.get('swap_seed'), images, data_samples):
        if counted is not None:
            request.setdefault('num_batches', len(counted))
    return request


def wants_average(request: Mapping) -> bool:
    """Whether the images of a request come from the averaged generator."""
    kind = request.get('sample_model')
    return request.get('use_ema', True) if kind is None else kind == 'ema'


def request_codes(generator: Generator, request: Mapping) -> tuple[Tensor, Tensor]:
    """The latent codes of a request: those that it gives, or its seeds', or random ones."""
    if 'structure_z' in request:
        return request['structure_z'], request['texture_z']
    if 'swap_seed' in request:
        structure_z, texture_z = seeded_codes(generator, request['swap_seed'])
        return structure_z[0], texture_z[0]
    return sample_codes(generator, request['num_batches'])


def sample_codes(generator: Generator, batch: int) -> tuple[Tensor, Tensor]:
    """Normal latents (B, structure_dim) and (B, texture_dim), on the generator's device."""
    device = next(generator.parameters()).device
    structure_z = torch.randn(batch, generator.structure_dim, device=device)
    texture_z = torch.randn(batch, generator.texture_dim, device=device)
    return structure_z, texture_z


def seeded_codes(generator: Generator, seeds: Sequence[int] | Tensor) -> tuple[Tensor, Tensor]:
    """Latents (2, B, structure_dim) and (2, B, texture_dim) of B seeds, on the generator's device:
    those of the images, and those to swap them for.
    """
    structure_z, texture_z = [], []
    for seed in seeds:
        source = torch.Generator().manual_seed(int(seed))
        structure_z.append(torch.randn(2, generator.structure_dim, generator=source))
        texture_z.append(torch.randn(2, generator.texture_dim, generator=source))
    device = next(generator.parameters()).device
    return torch.stack(structure_z, 1).to(device), torch.stack(texture_z, 1).to(device)


def predict(model: Any, request: Mapping, data_samples: Any) -> list[BaseDataElement]:
    """The predictions of :meth:`CoordGAN.forward`."""
    samples = mmagic.split_samples(data_samples)
    if 'sample_model' in request or (samples is not None and 'swap_seed' not in request):
        codes = request_codes(model.generator, request)
        return mmagic.answer(
            request, samples, len(codes[0]), lambda ema: model.sample(*codes, use_ema=ema)
        )
    data_samples = samples or data_samples
    use_ema = request.get('use_ema', True)
    if 'swap_seed' in request:
        fields = swap_fields(model, request['swap_seed'], use_ema)
    else:
        codes = request_codes(model.generator, request)
        fields = dict(zip(('fake_img', 'coords'), model.sample(*codes, use_ema=use_ema)))
    return [
        BaseDataElement(
            metainfo=data_samples[index].metainfo if data_samples else None,
            **{name: field[index] for name, field in fields.items()},
        )
        for index in range(len(fields['fake_img']))
    ]


def swap_fields(model: Any, seeds: Sequence[int] | Tensor, use_ema: bool) -> dict[str, Tensor]:
    """Images of B seeds, and the same with one of their two codes swapped."""
    (structure, other_structure), (texture, other_texture) = seeded_codes(model.generator, seeds)
    images, coords = model.sample(structure, texture, use_ema=use_ema)
    return dict(
        fake_img=images,
        coords=coords,
        texture_swap_img=model.sample(structure, other_texture, use_ema=use_ema)[0],
        structure_swap_img=model.sample(other_structure, texture, use_ema=use_ema)[0],
    )

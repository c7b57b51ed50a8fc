"""Read requests for samples, from MMEngine and from MMagic, and answer them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
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


def request_codes(model: Any, request: Mapping) -> tuple[Tensor, Tensor]:
    """The latent codes of a request: those that it gives, or its seeds', or random ones."""
    if 'structure_z' in request:
        return request['structure_z'], request['texture_z']
    if 'swap_seed' in request:
        (structure_z, _), (texture_z, _) = seeded_codes(model.generator, request['swap_seed'])
        return structure_z, texture_z
    return model.sample_codes(request['num_batches'])


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
    codes = request_codes(model, request)
    samples, seeds = mmagic.split_samples(data_samples), request.get('swap_seed')
    if 'sample_model' in request or (samples is not None and seeds is None):
        return mmagic.answer(
            request, samples, len(codes[0]), lambda ema: model.sample(*codes, use_ema=ema)
        )
    sample = partial(model.sample, use_ema=request.get('use_ema', True))
    fields = dict(zip(('fake_img', 'coords'), sample(*codes)))
    if seeds is not None:
        (_, structure_z), (_, texture_z) = seeded_codes(model.generator, seeds)
        fields['texture_swap_img'] = sample(codes[0], texture_z)[0]
        fields['structure_swap_img'] = sample(structure_z, codes[1])[0]
    data_samples = samples or data_samples
    return [
        BaseDataElement(
            metainfo=data_samples[index].metainfo if data_samples else None,
            **{name: field[index] for name, field in fields.items()},
        )
        for index in range(len(fields['fake_img']))
    ]

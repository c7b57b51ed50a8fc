"""An inferencer that reads pictures and encodes them: what all verbs build on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.infer import BaseInferencer
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmcoordgan.models.inversion import Inversion
from mmcoordgan.models.refinement import Refinement, refine_codes
from mmcoordgan.visualization import arrange_cells, coords_to_colors, images_to_uint8

from .correspondence import default_temperature
from .pictures import OnBroken, Picture, Source, Sources, iter_pictures, known, read_picture
from .progress import progress
from .refining import build_perceptual, choose_refinement
from .results import Encoding
from .trained import TrainedNetworks, load_trained

MIN_TEMPERATURE = 1e-6
"""It takes the nearest pixel; some 10,000 times less, the soft transfer overflows float32."""


class EncodingInferencer(BaseInferencer):
    """Loads a checkpoint, reads pictures and encodes them, within MMEngine's ``BaseInferencer``.

    Arguments and errors: see :class:`~mmcoordgan.apis.CoordGANInferencer`.
    """

    forward_kwargs = {'refine'}
    visualize_kwargs = {'return_vis'}

    def __init__(
        self,
        model: str | os.PathLike | Config | dict | None = None,
        weights: str | os.PathLike | None = None,
        device: str | None = None,
        scope: str | None = 'mmcoordgan',
        show_progress: bool = True,
        *,
        temperature: float | None = None,
        vgg_weights: str | None = None,
    ) -> None:
        if weights is None:
            if not isinstance(model, (str, os.PathLike)) or os.fspath(model).endswith('.py'):
                raise ValueError(
                    'a checkpoint is needed: CoordGANInferencer(checkpoint), or '
                    f'CoordGANInferencer(config, weights=checkpoint); got {model!r} alone'
                )
            weights, model = model, None
        self._config = model
        self.vgg_weights = vgg_weights
        self._perceptual: Any = None
        super().__init__(None, os.fspath(weights), device or get_device(), scope, show_progress)
        self.temperature = self._choose_temperature(temperature)

    @property
    def networks(self) -> TrainedNetworks:
        """Generator and encoder; also ``model``, MMEngine's name."""
        return self.model

    # ------------------------------------------------------------------ encode

    def encode(self, inputs: Sources, **settings: Any) -> list[Encoding]:
        """Codes, correspondence maps and reconstructions of pictures; see :meth:`iter_encode`."""
        return list(self.iter_encode(inputs, **settings))

    def iter_encode(
        self,
        inputs: Sources,
        *,
        batch_size: int = 8,
        refine: bool | int = False,
        on_broken: OnBroken | None = None,
    ) -> Iterator[Encoding]:
        """Encode pictures, one after the other.

        Args:
            inputs: Pictures.
            batch_size: Pictures that pass the networks together.
            refine: Improve codes by gradient descent until they reproduce the picture better: True
                as the config says, or a number of steps. Takes as long as that many renderings,
                three times.
            on_broken: See the class.

        Raises:
            ValueError: The checkpoint has no encoder (stage 1), or an argument is out of range.
            BrokenImageError: A picture cannot be read (without ``on_broken``).
        """
        encoded = self._invert_all(inputs, batch_size, refine, on_broken)
        return (_encoding(picture, inversion) for picture, inversion in encoded)

    # ------------------------------------------------------------------ what MMEngine calls

    def _init_model(self, cfg: Any, weights: Any, device: str = 'cpu') -> TrainedNetworks:
        """Build nothing but CoordGAN's networks, whatever the checkpoint names."""
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f'device {device} is not available here: {reason}') from None
        self.device = device
        return load_trained(weights, self._config, device)

    def _init_pipeline(self, cfg: Any) -> Any:
        return self._read_one

    def _init_collate(self, cfg: Any) -> Any:
        return list

    def _inputs_to_list(self, inputs: Sources) -> list[Picture]:
        return list(iter_pictures(inputs, self._size))

    def preprocess(self, inputs: Any, batch_size: int = 1, **kwargs: Any) -> Iterator[list]:
        """Pictures in batches."""
        _check_batch(batch_size)
        return self._get_chunk_data(iter(inputs), batch_size)

    def forward(self, inputs: Any, refine: bool | int = False) -> list[Encoding]:
        """Encode a batch."""
        return [_encoding(*pair) for pair in zip(inputs, self._invert(inputs, refine))]

    def visualize(self, inputs: list, preds: Any, return_vis: bool = False) -> Any:
        """With ``return_vis``, a row of pictures for each input: itself, map, reconstruction."""
        return [picture_row(encoding) for encoding in preds] if return_vis else None

    def postprocess(
        self, preds: Any, visualization: Any, return_datasample: bool = False, **kwargs: Any
    ) -> dict:
        """Dict of ``predictions`` (dicts of arrays, or data elements) and ``visualization``."""
        fields = [encoding._asdict() for encoding in preds]
        made = [BaseDataElement(**values) for values in fields] if return_datasample else fields
        return {'predictions': made, 'visualization': visualization}

    # ------------------------------------------------------------------ helpers

    @property
    def _size(self) -> int:
        """Side of the square pictures: what the encoder sees, or refinement compares with."""
        encoder = self.networks.require_encoder()
        return max(encoder.input_size, self.networks.generator.image_size)

    def _choose_temperature(self, given: float | None) -> float:
        origin = ''
        if given is None and self.networks.temperature is not None:
            given, origin = self.networks.temperature, f' from the config of {self.networks.source}'
        if given is None:
            given = default_temperature(self.networks.generator.base_resolution)
        if given != 0 and not MIN_TEMPERATURE <= given < float('inf'):
            raise ValueError(
                f'temperature must be at least {MIN_TEMPERATURE:g} of the frame and finite, but '
                f'got {given}{origin}; 0 takes the nearest pixel'
            )
        return float(given)

    def _read_one(self, source: Source, name: str = 'picture 0') -> Picture:
        return read_picture(source, self._size, name)

    def _invert_all(
        self,
        inputs: Sources,
        batch_size: int,
        refine: bool | int,
        on_broken: OnBroken | None,
        kind: str = 'picture',
    ) -> Iterator[tuple[Picture, Inversion]]:
        """Checks its arguments now, reads and encodes pictures when they are asked for."""
        sources, total = known(inputs)
        self._prepare_refinement(refine)
        pictures = iter_pictures(sources, self._size, on_broken, kind)
        shown = progress(pictures, self.show_progress, total)
        batches = self.preprocess(shown, batch_size)
        return (pair for batch in batches for pair in zip(batch, self._invert(batch, refine)))

    def _prepare_refinement(self, refine: bool | int) -> Refinement | None:
        refinement = choose_refinement(self.networks, refine)
        needed = refinement is not None and refinement.perceptual_weight > 0
        if needed and self._perceptual is None:
            self._perceptual = build_perceptual(self.networks, self.vgg_weights).to(self.device)
        return refinement

    @torch.no_grad()
    def _invert(self, pictures: Sequence[Picture], refine: bool | int) -> list[Inversion]:
        """One inversion, of batch size 1, for each picture."""
        networks = self.networks
        images = torch.from_numpy(np.stack([picture.image for picture in pictures]))
        images = images.to(self.device).permute(0, 3, 1, 2) / 127.5 - 1
        found = networks.invert(images)
        refinement = self._prepare_refinement(refine)
        if refinement is not None:
            refined = refine_codes(
                networks.generator, self._perceptual, images, *found[:2], refinement
            )
            found = networks.decode(*refined)
        return [Inversion(*(f[i : i + 1] for f in found)) for i in range(len(images))]


def _check_batch(batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(f'batch_size must be at least 1, but got {batch_size}')


def picture_row(encoding: Encoding, min_cell: int = 96) -> np.ndarray:
    """A picture, its correspondence map in colours and its reconstruction, side by side."""
    cells = [encoding.image, coords_to_colors(encoding.coords), encoding.reconstruction]
    return arrange_cells([cells], min_cell)


def _encoding(picture: Picture, inversion: Inversion) -> Encoding:
    return Encoding(
        picture.name,
        picture.shape,
        as_array(inversion.structure_w[0]),
        as_array(inversion.texture_w[0]),
        as_array(inversion.coords[0]),
        images_to_uint8(inversion.reconstruction[0]),
        picture.image,
    )


def as_array(values: Tensor) -> np.ndarray:
    return values.float().cpu().numpy()

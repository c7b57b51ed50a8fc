"""CoordGANInferencer: what a trained checkpoint can do, one method each."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from functools import wraps
from itertools import starmap
from typing import Any, Callable, TypeVar

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.infer import BaseInferencer
from mmengine.structures import BaseDataElement

from mmcoordgan.geometry import resize_map
from mmcoordgan.registry import INFERENCERS
from mmcoordgan.utils.progress import progress
from mmcoordgan.visualization import arrange_cells, coords_to_colors

from . import transfer
from .checkpoint import TrainedNetworks, choose_temperature, load_trained
from .codes import blend, check_seed, mean_codes, render, seed_codes
from .cropping import read_cropper
from .encoding import Codes, ImageEncoder, encoding_of
from .images import Source, Sources
from .results import Correspondence, Encoding, LabelTransfer, PointTransfer, Rendering
from .transfer import Labels

PARTS = ('structure', 'texture', 'both')
Item = TypeVar('Item')


def _listed(method: Callable[..., Iterator[Item]]) -> Callable[..., list[Item]]:
    """A method that returns a list of what ``method`` yields."""

    @wraps(method)
    def listed(*args: Any, **kwargs: Any) -> list[Item]:
        return list(method(*args, **kwargs))

    listed.__name__ = method.__name__[len('iter_') :]
    listed.__doc__ = f'The list of what :meth:`{method.__name__}` yields.'
    return listed


@INFERENCERS.register_module()
class CoordGANInferencer(BaseInferencer):
    """Encode images, find correspondences, carry labels and points, swap, sample, interpolate.

    Images are paths, folders (all images below), arrays (H, W, 3) of uint8 in **RGB** order, or
    iterables of these. They may have any size and shape: the networks see them squeezed to a
    square, and results come at each image's own size. Methods ``iter_...`` yield one result at a
    time, in constant memory; their twins without ``iter_`` return lists. All that read many images
    take:

    * ``batch_size``: Images that pass the encoder together.
    * ``refine``: Improve codes by gradient descent: True as the config says, or a number of steps.
      Each step costs as much as three renderings.
    * ``on_broken``: Called with the name and the error of an image that cannot be read, which is
      then left out. Without it, the error is raised.

    Files of unknown origin run no code (:func:`~mmcoordgan.apis.load_trained`). MMEngine's
    ``inferencer(inputs)`` calls ``encode``.

    Args:
        model: The checkpoint or its work dir. Or, in MMEngine's order, the config (path or config)
            of the checkpoint ``weights``; needed only if the checkpoint does not hold its config.
        weights: The checkpoint, if ``model`` is the config or None.
        device: Where the networks run. Default: MMEngine's choice, a GPU if there is one.
        show_progress: Show a progress bar on standard error.
        temperature: Softness of the correspondence at the size of the maps, in units of
            the frame: at least 1e-6, or 0 for the nearest pixel. Default: that of the config's
            label transfer, as ``tools/test.py`` measures; else 0.01 at 128 x 128 maps, scaled.
        vgg_weights: Path or URL of VGG16's weights, to refine codes by LPIPS.
        check_domain: Tell images that the model knows from others, where its file says how: results
            carry a :class:`~mmcoordgan.apis.domain.Domain`. The encoder sees images three times.
        crop: A file that says where faces are, or finds them (:func:`~.cropping.read_cropper`): the
            networks see each image's crop, as FFHQ aligns it. Labels and points come for the image
            itself, swapped textures for the crop.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: The checkpoint cannot be used, or an argument is out of range; says why.
    """

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
        check_domain: bool = True,
        crop: str | None = None,
    ) -> None:
        path, model = (model, None) if weights is None else (weights, model)
        if not isinstance(path, (str, os.PathLike)) or os.fspath(path).endswith('.py'):
            raise ValueError(
                'a checkpoint is needed: CoordGANInferencer(checkpoint), or (config, '
                f'weights=checkpoint); got {path!r} alone'
            )
        self._config, self.device = model, device or get_device()
        super().__init__(None, os.fspath(path), self.device, scope, show_progress)
        self.temperature = choose_temperature(self.networks, temperature)
        self.encoder = ImageEncoder(
            self.networks,
            self.device,
            show_progress,
            vgg_weights,
            held_out=self.networks.held_out if check_domain else None,
            cropper=None if crop is None else read_cropper(crop),
        )

    @property
    def networks(self) -> TrainedNetworks:
        """Generator and encoder; also ``model``, MMEngine's name."""
        return self.model

    def iter_encode(self, inputs: Sources, **settings: Any) -> Iterator[Encoding]:
        """Encode images; :meth:`reconstruct` renders what was found.

        ValueError: the checkpoint has no encoder (stage 1), or an argument is out of range.
        """
        return starmap(encoding_of, self.encoder.find_all(inputs, **settings))

    def reconstruct(self, encoding: Encoding) -> np.ndarray:
        """Render what :meth:`encode` found: (S, S, 3) uint8 RGB at the generator's size."""
        arrays = (encoding.coords, encoding.texture_w)
        coords, w = (torch.from_numpy(values)[None].to(self.device) for values in arrays)
        return render(self.networks.generator, encoding.name, coords, w).image

    def overview(self, encoding: Encoding) -> np.ndarray:
        """Draw an image, its correspondence map in colours and its reconstruction, in a row."""
        cells = [encoding.image, coords_to_colors(encoding.coords), self.reconstruct(encoding)]
        return arrange_cells([cells])

    def correspond(self, a: Source, b: Source, *, refine: bool | int = False) -> Correspondence:
        """Find for each pixel of image ``a`` the matching position in image ``b``.

        Two pixels match where their coordinates in the canonical frame agree
        (:func:`~mmcoordgan.geometry.soft_transfer`). Parts of a that b does not show have a low
        confidence. Not with ``crop``.
        """
        if self.encoder.cropper is not None:
            raise ValueError('all pixels of an image cannot be matched where it is cropped')
        return transfer.correspond(self.encoder, a, b, self.temperature, refine)

    def iter_transfer_labels(
        self,
        reference: Source | Sequence[Source],
        reference_labels: Labels | Sequence[Labels],
        queries: Sources,
        *,
        ignore_label: int | None = None,
        **settings: Any,
    ) -> Iterator[LabelTransfer]:
        """Carry labels of a reference to images, or the mean label probabilities of several.

        Args:
            reference: A labelled image, or a list of them.
            reference_labels: Its labels (H, W) at its own size, integers in 0..255, or the path of
                a palette or grey PNG (or .npy) that holds them; one for each reference.
            queries: Images; ``on_broken`` is about these alone.
            ignore_label: Pixels of references with this label carry nothing. Pixels of queries that
                match nothing else get it.

        Raises:
            ValueError: A mask differs in size from its image, or is no label mask.
            BrokenImageError: A reference or a mask cannot be read.
        """
        references = transfer.read_references(
            self.encoder, reference, reference_labels, ignore_label, settings.get('refine', False)
        )
        return transfer.carry_labels(
            self.encoder, references, queries, self.temperature, **settings
        )

    def iter_transfer_points(
        self, reference: Source, points: Any, queries: Sources, **settings: Any
    ) -> Iterator[PointTransfer]:
        """Carry points of an image to others, as :meth:`correspond` sends their pixels.

        ``points`` are (N, 2): (x, y) in pixels of the reference's own size; (0, 0) is the centre of
        its top left pixel. ``on_broken`` is about ``queries`` alone. ValueError: ``points`` is no
        such array, or lies outside the image.
        """
        return transfer.carry_points(
            self.encoder, reference, points, queries, self.temperature, **settings
        )

    def iter_swap_texture(
        self, structure_from: Sources, texture_from: Sources, **settings: Any
    ) -> Iterator[list[Rendering]]:
        """Paint each structure with each texture; memory grows with the number of textures alone.

        Yields a row for each of ``structure_from``: a result of its name and size for each of
        ``texture_from``, which must be readable.
        """
        always = {key: value for key, value in settings.items() if key != 'on_broken'}
        found = self.encoder.find_all(texture_from, kind='texture', **always)
        textures = [codes.texture_w for _, codes in found]
        structures = self.encoder.find_all(structure_from, **settings)
        generator = self.networks.generator
        return (
            [render(generator, image.name, codes.coords, w, image.crop.inner) for w in textures]
            for image, codes in structures
        )

    def iter_sample(
        self, n: int = 1, seed: int = 0, truncation: float | tuple[float, float] = 1.0
    ) -> Iterator[Rendering]:
        """Generate ``n`` images, with checkpoints of either stage.

        ``seed``, in 0..2**63 - 1, is that of the first; others follow. An image depends on its seed
        alone. ``truncation``, one number or a pair for structure and texture, pulls codes towards
        the mean of 4096 codes, ``mean + truncation * (code - mean)``: quality for variety.
        """
        if n < 1:
            raise ValueError(f'n must be at least 1, but got {n}')
        check_seed(seed)
        check_seed(seed + n - 1)
        pair = truncation if isinstance(truncation, (tuple, list)) else (truncation, truncation)
        if len(pair) != 2 or not all(map(math.isfinite, pair)):
            raise ValueError(f'truncation must be one finite number, or a pair of them, not {pair}')
        generator = self.networks.generator
        means = None if tuple(pair) == (1, 1) else mean_codes(generator)

        def sample(number: int) -> Rendering:
            codes = seed_codes(generator, number)
            if means is not None:
                codes = blend(means[0], codes[0], pair[0]), blend(means[1], codes[1], pair[1])
            return render(generator, f'seed {number}', generator.warp(codes[0]), codes[1])

        return map(sample, progress(range(seed, seed + n), self.show_progress))

    def iter_interpolate(
        self,
        start: Source | int,
        end: Source | int,
        frames: int = 16,
        *,
        part: str = 'structure',
        refine: bool | int = False,
    ) -> Iterator[Rendering]:
        """Change the structure or the texture step by step, linearly between two codes.

        ``start`` and ``end`` are images, or seeds of samples (checkpoints of either stage); they
        are the first and last of the ``frames``, at least 2. ``part`` is what changes: 'structure'
        (in the texture of ``start``), 'texture' (on its structure) or 'both'. Images without a
        structure code change by their maps.
        """
        if frames < 2:
            raise ValueError(f'frames must be at least 2, but got {frames}')
        if part not in PARTS:
            raise ValueError(f'part must be one of {", ".join(PARTS)}, but got {part!r}')
        first, last = self._codes(start, refine, 'start'), self._codes(end, refine, 'end')
        generator = self.networks.generator
        side = max(first.coords.shape[-1], last.coords.shape[-1])
        maps = [resize_map(codes.coords, (side, side)) for codes in (first, last)]

        def frame(number: int) -> Rendering:
            weight = number / (frames - 1)
            changed = weight * (part != 'texture')
            if first.structure_w is None or last.structure_w is None:
                coords = torch.lerp(maps[0], maps[1], changed)
            else:
                coords = generator.warp(torch.lerp(first.structure_w, last.structure_w, changed))
            texture_w = blend(first.texture_w, last.texture_w, weight * (part != 'structure'))
            return render(generator, f'frame {number}', coords, texture_w)

        return map(frame, progress(range(frames), self.show_progress))

    encode = _listed(iter_encode)
    transfer_labels = _listed(iter_transfer_labels)
    transfer_points = _listed(iter_transfer_points)
    swap_texture = _listed(iter_swap_texture)
    sample = _listed(iter_sample)
    interpolate = _listed(iter_interpolate)

    def _codes(self, source: Source | int, refine: bool | int, name: str) -> Codes:
        if not isinstance(source, (int, np.integer)):
            return self.encoder.find([self.encoder.read(source, name)], refine)[0]
        structure_w, texture_w = seed_codes(self.networks.generator, source)
        return Codes(structure_w, texture_w, self.networks.generator.warp(structure_w))

    # ------------------------------------------------------------------ what MMEngine calls

    def __call__(
        self,
        inputs: Sources,
        return_datasamples: bool = False,
        batch_size: int = 1,
        return_vis: bool = False,
        refine: bool | int = False,
    ) -> dict:
        """Encode images: ``predictions``, dicts or data elements, and ``visualization``.

        With ``return_vis``, that is the :meth:`overview` of each image, else None.
        """
        found = self.encode(inputs, batch_size=batch_size, refine=refine)
        fields = [encoding._asdict() for encoding in found]
        made = [BaseDataElement(**values) for values in fields] if return_datasamples else fields
        drawn = [self.overview(encoding) for encoding in found] if return_vis else None
        return {'predictions': made, 'visualization': drawn}

    def _init_model(self, cfg: Any, weights: Any, device: str = 'cpu') -> TrainedNetworks:
        """Build nothing but CoordGAN's networks, whatever the checkpoint names."""
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f'device {device} is not available here: {reason}') from None
        return load_trained(weights, self._config, device)

    def _init_pipeline(self, cfg: Any) -> None:
        """Do nothing: ``encode`` reads images."""

    _init_collate = visualize = postprocess = _init_pipeline

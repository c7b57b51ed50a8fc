"""Methods that find correspondences between images, in the form that the transfer metrics take.

A method gives each reference one map, and each query one map, or one for each reference, of where
its pixels look. Maps are x first, in the canonical frame [-1, 1]; their corners lie on the centers
of the corner pixels. Images are (H, W, 3) uint8 RGB.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmcoordgan.apis import CoordGANInferencer
from mmcoordgan.evaluation.transfer_metric import OUT_OF_REACH, temperature_at
from mmcoordgan.geometry import canonical_grid
from mmcoordgan.models.images import from_bytes
from mmcoordgan.models.losses.lpips import INPUTS


class Method:
    """One row of the comparison. This one copies: pixels look at their own place."""

    name = 'copying'
    mode = 'hard'
    """How the metrics carry labels and points along its maps."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.temperature = temperature_at(size, 'soft', 0.01, 128)

    def read_references(self, images: Sequence[np.ndarray]) -> Tensor:
        """References -> their maps (K, 2, size, size)."""
        return torch.stack([self.read_query(image)['coords'] for image in images])

    def read_query(self, image: np.ndarray) -> dict[str, Tensor]:
        """A query -> ``coords``, (2, size, size) or (K, 2, size, size).

        A method may give other maps for points, ``point_coords``.
        """
        return {'coords': canonical_grid(self.size, self.size)}


class PairMethod(Method):
    """A method that compares the features of a query with those of each reference."""

    features: Callable[[np.ndarray], Any]
    match: Callable[[Any, Any], dict[str, Tensor]]
    """Features of a query and of a reference -> where the query's pixels look, (2, size, size)."""

    def read_references(self, images: Sequence[np.ndarray]) -> Tensor:
        self.references = [self.features(image) for image in images]
        return canonical_grid(self.size, self.size).expand(len(images), -1, -1, -1)

    def read_query(self, image: np.ndarray) -> dict[str, Tensor]:
        features = self.features(image)
        found = [self.match(features, reference) for reference in self.references]
        return {key: torch.stack([one[key] for one in found]) for key in found[0]}


class Registration(PairMethod):
    """SimpleITK: an affine map, then a B-spline, that match the edges of a pair of images.

    The metric is ANTS' neighborhood correlation. Of some twenty settings (edges or images, global
    or local correlation, similarity or affine map, starts, cells, iterations), these are the best
    on average over ToyFaces and faces, aligned and jittered.
    """

    name = 'registration'
    mode = 'soft'
    SIDE, SIGMA = 64, 1.0
    """Of the registered images, and of the Gaussian whose gradient finds edges; in pixels."""
    RADIUS, CELLS, ITERATIONS = 5, 5, 8
    """Of neighborhoods, in pixels; of the B-spline, along a side and of L-BFGS-B. Many iterations
    let it fold."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        import SimpleITK

        self.sitk: Any = SimpleITK
        self.sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(torch.get_num_threads())

    def features(self, image: np.ndarray) -> Any:
        """Strength of the edges of a grey image, of standard deviation 1."""
        grey = torch.from_numpy(image.astype(np.float32).mean(2))[None, None]
        grey = F.interpolate(grey, (self.SIDE, self.SIDE), mode='bilinear', antialias=True)
        given = self.sitk.GetImageFromArray(grey[0, 0].numpy())
        return self.sitk.Normalize(self.sitk.GradientMagnitudeRecursiveGaussian(given, self.SIGMA))

    def match(self, query: Any, reference: Any) -> dict[str, Tensor]:
        """Register the edges of both."""
        sitk = self.sitk
        affine = sitk.AffineTransform(2)
        affine.SetCenter([(self.SIDE - 1) / 2] * 2)
        method = self._method([4, 2])
        method.SetInitialTransform(affine, inPlace=True)
        method.SetOptimizerAsRegularStepGradientDescent(1.0, minStep=1e-3, numberOfIterations=100)
        method.SetOptimizerScalesFromPhysicalShift()
        method.Execute(query, reference)
        spline = sitk.BSplineTransformInitializer(query, [self.CELLS, self.CELLS])
        method = self._method([2])
        method.SetMovingInitialTransform(affine)
        method.SetInitialTransform(spline, inPlace=True)
        method.SetOptimizerAsLBFGSB(1e-5, numberOfIterations=self.ITERATIONS)
        method.Execute(query, reference)
        field = sitk.TransformToDisplacementFieldFilter()
        field.SetReferenceImage(query)
        moved = sitk.GetArrayFromImage(field.Execute(sitk.CompositeTransform([affine, spline])))
        # The places of pixels as fractions of the sides, at both sizes.
        offsets = torch.from_numpy(moved).float().permute(2, 0, 1)[None] / self.SIDE
        offsets = F.interpolate(offsets, (self.size, self.size), mode='bicubic')[0]
        moves = 2 * offsets * self.size / (self.size - 1)
        return {'coords': canonical_grid(self.size, self.size) + moves}

    def _method(self, levels: Sequence[int]) -> Any:
        method = self.sitk.ImageRegistrationMethod()
        method.SetMetricAsANTSNeighborhoodCorrelation(self.RADIUS)
        method.SetInterpolator(self.sitk.sitkLinear)
        method.SetShrinkFactorsPerLevel(levels)
        method.SetSmoothingSigmasPerLevel([level / 2 for level in levels])
        method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
        return method


class DINOv2(PairMethod):
    """Nearest neighbors of DINOv2's patch features (cosine), from an ONNX file.

    A query's pixels look at their nearest neighbors in the reference. Points follow mutual nearest
    neighbors alone: a point goes where the nearest pixel that has one goes.

    The file takes images (1, 3, H, W), normalized as for ImageNet. Its first output is tokens
    (1, T, channels), of which the last are the patches of 14 pixels, row by row.
    """

    name = 'DINOv2'
    IMAGE_SIZE, PATCHES = 448, 32

    def __init__(self, size: int, path: str) -> None:
        super().__init__(size)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self.session = onnxruntime.InferenceSession(path, options)

    def features(self, image: np.ndarray) -> Tensor:
        """Normalized features (size * size, channels)."""
        x = from_bytes(torch.from_numpy(image))[None]
        x = F.interpolate(x, (self.IMAGE_SIZE, self.IMAGE_SIZE), mode='bicubic', antialias=True)
        shift, scale = torch.tensor(INPUTS['torchvision'])[..., None, None]
        feed = {self.session.get_inputs()[0].name: ((x - shift) / scale).numpy()}
        tokens = torch.from_numpy(self.session.run(None, feed)[0])
        patches = tokens[0, -(self.PATCHES**2) :].T.reshape(1, -1, self.PATCHES, self.PATCHES)
        features = F.interpolate(patches, (self.size, self.size), mode='bilinear')
        return F.normalize(features[0].flatten(1).T, dim=1)

    def match(self, query: Tensor, reference: Tensor) -> dict[str, Tensor]:
        """All nearest neighbors, and mutual ones alone for points."""
        similar = query @ reference.T
        there, back = similar.argmax(1), similar.argmax(0)
        coords = canonical_grid(self.size, self.size).flatten(1)[:, there]
        mutual = back[there] == torch.arange(len(there))
        found = {'coords': coords, 'point_coords': coords.masked_fill(~mutual, OUT_OF_REACH)}
        return {key: one.view(2, self.size, self.size) for key, one in found.items()}


class Trained(Method):
    """A trained encoder, whose codes can be refined."""

    def __init__(self, inferencer: CoordGANInferencer, name: str, refine: bool = False) -> None:
        super().__init__(inferencer.networks.generator.base_resolution)
        self.inferencer, self.refine = inferencer, refine
        self.name = f'{name}, refined' if refine else name
        self.mode = 'soft' if inferencer.temperature else 'hard'
        self.temperature = inferencer.temperature or self.temperature

    def read_query(self, image: np.ndarray) -> dict[str, Tensor]:
        found = self.inferencer.encode([image], refine=self.refine)[0]
        return {'coords': torch.from_numpy(found.coords)}

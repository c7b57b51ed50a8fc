"""Networks: tensors in, tensors out; values in the constructor, never configs."""

from .dense_encoder import DenseEncoder
from .discriminator import CoordGANDiscriminator
from .encoder import CoordGANEncoder
from .generator import CoordGANGenerator
from .patch_discriminator import CoordGANPatchDiscriminator, CropRectangles
from .protocols import Encoder, Encoding, Generator, encode, render
from .template_encoder import TemplateEncoder

__all__ = [
    'CoordGANDiscriminator',
    'CoordGANEncoder',
    'CoordGANGenerator',
    'CoordGANPatchDiscriminator',
    'CropRectangles',
    'DenseEncoder',
    'Encoder',
    'Encoding',
    'Generator',
    'TemplateEncoder',
    'encode',
    'render',
]

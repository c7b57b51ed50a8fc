"""Networks: tensors in, tensors out; values in the constructor, never configs."""

from .discriminator import CoordGANDiscriminator
from .encoder import CoordGANEncoder
from .generator import CoordGANGenerator
from .joint_latent import JointLatentGenerator
from .patch_discriminator import CoordGANPatchDiscriminator, CropRectangles
from .protocols import Encoder, Encoding, Generator, encode

__all__ = [
    'CoordGANDiscriminator',
    'CoordGANEncoder',
    'CoordGANGenerator',
    'CoordGANPatchDiscriminator',
    'CropRectangles',
    'Encoder',
    'Encoding',
    'Generator',
    'JointLatentGenerator',
    'encode',
]

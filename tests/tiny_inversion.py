"""A very small second stage, untrained, whose maps differ from image to image."""

from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope

from mmcoordgan.registry import MODELS

SIZE = 16
GENERATOR = dict(
    type='CoordGANGenerator',
    image_size=SIZE,
    base_resolution=SIZE,
    structure_dim=4,
    texture_dim=4,
    structure_width=6,
    texture_width=5,
    mapping_layers=1,
    channels=8,
    warp_channels=8,
    warp_residual=True,
    kernel_size=1,
)
STAGE1 = dict(
    type='CoordGAN',
    generator=GENERATOR,
    discriminator=dict(type='CoordGANDiscriminator', image_size=SIZE, channels=8),
    losses=dict(g_gan=dict(type='NonsaturatingLoss')),
)
STAGE2 = dict(
    type='CoordGANInversion',
    generator=GENERATOR,
    encoder=dict(
        type='CoordGANEncoder',
        input_size=SIZE,
        structure_width=6,
        texture_width=5,
        num_texture_codes=1,
        channels=(4, 8, 8),
        texture_channels=(8,),
    ),
    perceptual=dict(type='StructureTensorLoss'),
    losses={},
    refinement=dict(steps=3, lr=0.05),
    render_predictions=True,
)
PALETTE = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]], np.uint8)
EVALUATOR = dict(type='SegTransferIoU', num_classes=3, temperature=0.05, reference_size=SIZE)


def write_checkpoint(path: Path, model: dict = STAGE2, **settings):
    """Write a checkpoint with its config, and return the model."""
    torch.manual_seed(1)
    with DefaultScope.overwrite_default_scope('mmcoordgan'):
        built = MODELS.build(model).eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    text = Config({'model': model, **settings}).pretty_text
    torch.save({'state_dict': built.state_dict(), 'meta': {'cfg': text}}, path)
    return built


def pictures(count: int, *shape: int, seed: int = 0) -> np.ndarray:
    """(count, H, W, 3) uint8: smooth random images."""
    source = torch.Generator().manual_seed(seed)
    small = torch.rand(count, 3, 4, 4, generator=source)
    large = torch.nn.functional.interpolate(small, shape or (SIZE, SIZE), mode='bilinear')
    return (255 * large).permute(0, 2, 3, 1).round().byte().numpy()


def labels(count: int, *shape: int, seed: int = 0) -> np.ndarray:
    """(count, H, W) uint8 in 0..2: blobs."""
    image = pictures(count, *shape, seed=seed + 100)
    return (image[..., 0] // 86).astype(np.uint8)


def model_input(images: np.ndarray) -> torch.Tensor:
    """(B, 3, S, S) in [-1, 1] of images that have the networks' size."""
    return torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1


def optimizers(model: torch.nn.Module, lr: float = 0.01, **networks: dict):
    """Adam for each of these networks, with settings of its own."""
    adam = dict(type='Adam', lr=lr, betas=(0.0, 0.99))
    config = {name: dict(optimizer=adam, **settings) for name, settings in networks.items()}
    config['constructor'] = 'mmcoordgan.CoordGANOptimWrapperConstructor'
    return build_optim_wrapper(model, config)


def batch(size: int = 4, side: int = SIZE) -> dict:
    """What a data loader gives a model, images in [-1, 1]."""
    return {'inputs': torch.rand(size, 3, side, side) * 2 - 1}


def snapshot(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in module.state_dict().items()}


def same(module: torch.nn.Module, state: dict[str, torch.Tensor]) -> bool:
    own = module.state_dict()
    return own.keys() == state.keys() and all(torch.equal(own[k], v) for k, v in state.items())

"""MMagic's StyleGAN2 with a perceptual distance. Imports MMagic: name it in ``custom_imports``."""

from __future__ import annotations

from typing import Any

from mmagic.models import StyleGAN2
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmcoordgan.registry import MODELS

from .training import build_module


def mode_seeking_loss(image_distance: Tensor, latent_distance: Tensor) -> Tensor:
    """Large where different latents give the same picture (arXiv:1903.05628, equation 3).

    .. math:: L = 1 / (d_I / d_z + 10^{-5})

    Args:
        image_distance: Scalar, between pairs of pictures, >= 0.
        latent_distance: Scalar, between their latents, > 0.

    Returns:
        Scalar in (0, 1e5].
    """
    return 1 / (image_distance / latent_distance + 1e-5)


@MODELS.register_module()
class ModeSeekingStyleGAN2(StyleGAN2):
    """MMagic's ``StyleGAN2`` with :func:`mode_seeking_loss` between the halves of a batch.

    An odd batch leaves out its last picture from this loss.

    Args:
        *args: Of ``StyleGAN2``.
        perceptual: Config or module of the distance between pictures, RGB in [-1, 1].
        mode_seeking_weight: Factor on the loss.
        **kwargs: Of ``StyleGAN2``.
    """

    def __init__(
        self,
        *args: Any,
        perceptual: dict | nn.Module,
        mode_seeking_weight: float = 0.01,
        **kwargs: Any,
    ):
        super().__init__(*args, **kwargs)
        self.perceptual = build_module(perceptual)
        self.mode_seeking_weight = mode_seeking_weight

    def train_generator(
        self, inputs: Any, data_samples: Any, optimizer_wrapper: OptimWrapper
    ) -> dict[str, Tensor]:
        """One step of the generator; the log shows ``loss_mode_seeking``, weighted.

        Raises:
            ValueError: If the batch has a single picture.
        """
        half = len(data_samples) // 2
        if half == 0:
            raise ValueError(
                f'{type(self).__name__} compares the halves of a batch, but the batch has one '
                'picture: train_dataloader.batch_size must be at least 2'
            )
        noise = self.noise_fn(num_batches=len(data_samples))
        images = self.generator(noise, return_noise=False)
        loss, log = self.gen_loss(self.discriminator(images), len(data_samples))
        distance = self.perceptual(images[:half], images[half : 2 * half])
        latent_distance = (noise[:half] - noise[half : 2 * half]).abs().mean()
        seeking = self.mode_seeking_weight * mode_seeking_loss(distance, latent_distance)
        optimizer_wrapper.update_params(loss + seeking)
        return {**log, 'loss_mode_seeking': seeking.detach()}

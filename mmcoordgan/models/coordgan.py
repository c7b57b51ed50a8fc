"""CoordGAN, stage 1: a generator whose pictures come with correspondence maps."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapperDict
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmcoordgan.registry import MODELS

from .data_preprocessor import GANDataPreprocessor
from .finite import FiniteGuard
from .pairs import swap_partners
from .pretrained import load_pretrained_generator
from .sampling import predict, read_request, request_codes, wants_average
from .training import LossTerms, build_module, optimizer_step, sample_codes, split_batch

DISCRIMINATOR_TERMS = ('d_gan', 'd_patch')
REGULARIZATION_TERMS = ('d_r1', 'd_patch_r1')
GENERATOR_TERMS = ('g_gan', 'g_patch', 'g_texture_swap', 'g_chamfer', 'g_warp')
PATCH_TERMS = ('d_patch', 'd_patch_r1', 'g_patch')
PERCEPTUAL_TERMS = ('g_texture_swap', 'g_warp')
EMA_DECAY = 0.5 ** (32 / 10_000)
"""The average of the weights has a half-life of 10,000 pictures at 32 per iteration."""


Codes = tuple[Tensor, Tensor]  # structure (B, structure_dim), texture (B, texture_dim)


class Fakes(NamedTuple):
    """Generated pictures of one batch; images 2k and 2k + 1 are partners."""

    images: Tensor
    """(B, 3, S, S): structure k with texture k."""
    coords: Tensor
    """(B, 2, H, W): their correspondence maps."""
    swapped: Tensor | None
    """(B, 3, S, S): structure k with its partner's texture; None where no term needs it."""

    def detach(self) -> Fakes:
        swapped = None if self.swapped is None else self.swapped.detach()
        return Fakes(self.images.detach(), self.coords.detach(), swapped)

    def twins(self) -> Tensor:
        """(B, 3, S, S): texture k on its partner's structure."""
        if self.swapped is None:
            raise ValueError('these fakes were rendered without swap')
        return swap_partners(self.swapped)


@MODELS.register_module()
class CoordGAN(BaseModel):
    """CoordGAN's first stage (arXiv:2203.16521, section 3.3): networks, losses, training step.

    Args:
        generator: Config or module of the generator.
        discriminator: Config or module of the image discriminator.
        losses: Loss terms by name, each a config of a :class:`~.losses.ScheduledLoss`. Names:
            ``d_gan``, ``d_patch``, ``d_r1``, ``d_patch_r1``, ``g_gan``, ``g_patch``,
            ``g_texture_swap``, ``g_chamfer``, ``g_warp``; a term that is left out is not used.
            The log shows every term under its name, weighted.
        patch_discriminator: Config or module of the patch discriminator; needed by patch terms.
        perceptual: Config or module of the perceptual distance, e.g. ``LPIPSLoss``; needed by
            ``g_texture_swap`` and ``g_warp``.
        ema_decay: Decay per iteration of the averaged generator, ``generator_ema``.
        share_fakes: Let both steps of an iteration use one batch of generated pictures, instead
            of a fresh one each as published: saves a third of the time.
        pretrained_generator: Checkpoint (or work dir) of a CoordGAN with the same base
            resolution, whose generator (and its average, and iteration) training starts from.
            Upsampling levels that it lacks start fresh.
        frozen: Names of the generator's modules that are not trained, e.g. ``('warp_net',)``.
        accumulative_counts: Parts of a batch that are computed one after the other, with their
            gradients accumulated: an iteration is one of the whole batch, with the memory of a
            part (but for ``share_fakes``, which keeps the pictures of all parts). Only the
            minibatch standard deviation sees the parts instead of the batch.
        on_nonfinite: What to do where a loss or a gradient is infinite or not a number: 'error'
            ends the training, 'skip' leaves the optimizer step out (on all processes).
        data_preprocessor: Config of the data preprocessor, which brings pictures to [-1, 1].

    Raises:
        ValueError: If a loss term is unknown, or lacks the network that it needs.
    """

    generator: Any
    generator_ema: Any
    discriminator: Any
    patch_discriminator: Any
    perceptual: Any
    losses: Any
    iteration: Tensor

    def __init__(
        self,
        generator: dict | nn.Module,
        discriminator: dict | nn.Module,
        losses: dict,
        patch_discriminator: dict | nn.Module | None = None,
        perceptual: dict | nn.Module | None = None,
        ema_decay: float = EMA_DECAY,
        share_fakes: bool = False,
        pretrained_generator: str | None = None,
        frozen: Sequence[str] = (),
        accumulative_counts: int = 1,
        on_nonfinite: str = 'error',
        data_preprocessor: dict | nn.Module | None = None,
    ):
        super().__init__(data_preprocessor=build_module(data_preprocessor))
        self.generator = build_module(generator)
        self.generator_ema = copy.deepcopy(self.generator).requires_grad_(False).eval()
        self.discriminator = build_module(discriminator)
        self.patch_discriminator = build_module(patch_discriminator)
        self.perceptual = build_module(perceptual)
        self.losses = LossTerms(
            losses, known=DISCRIMINATOR_TERMS + REGULARIZATION_TERMS + GENERATOR_TERMS
        )
        self._check_terms()
        self.ema_decay = ema_decay
        self.share_fakes = share_fakes
        self.pretrained_generator = pretrained_generator
        self.accumulative_counts = accumulative_counts
        self.guard = FiniteGuard(on_nonfinite)
        for name in frozen:
            self.generator.get_submodule(name).requires_grad_(False)
        # Kept with the weights, so that schedules go on where a checkpoint was written.
        self.register_buffer('iteration', torch.zeros((), dtype=torch.int64))

    def init_weights(self) -> None:
        """Load ``pretrained_generator``, if there is one."""
        super().init_weights()
        if self.pretrained_generator is not None:
            load_pretrained_generator(self, self.pretrained_generator)

    # ------------------------------------------------------------------ training

    def train_step(self, data: dict, optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        """One iteration: discriminator step, lazy regularization step, generator step.

        Args:
            data: ``inputs``: real pictures; B of them, B even.
            optim_wrapper: ``discriminator`` (both discriminators) and ``generator``.

        Returns:
            The weighted value of every loss term that acted.
        """
        real = self.data_preprocessor(data, True)['inputs']
        parts = split_batch(real, self.accumulative_counts)
        iteration = int(self.iteration)
        acts = partial(self.losses.acts, iteration)
        step = partial(optimizer_step, guard=self.guard, iteration=iteration)
        fakes: list[Fakes] = []

        def discriminator_part(part: tuple[Tensor, Codes]) -> dict[str, Tensor]:
            real, codes = part
            with optim_wrapper['discriminator'].optim_context(self):
                with torch.set_grad_enabled(self.share_fakes):
                    needs_swap = acts('d_patch')
                    if self.share_fakes:
                        needs_swap |= acts('g_patch', 'g_texture_swap')
                    fakes.append(self.render(*codes, swap=needs_swap))
                return self.discriminator_losses(real, fakes[-1].detach(), iteration)

        def regularization_part(part: tuple[Tensor, Fakes]) -> dict[str, Tensor]:
            return self.regularization_losses(part[0], part[1].detach(), iteration)

        def generator_part(part: Fakes | Codes) -> dict[str, Tensor]:
            with optim_wrapper['generator'].optim_context(self):
                if not isinstance(part, Fakes):
                    part = self.render(*part, swap=acts('g_patch', 'g_texture_swap'))
                return self.generator_losses(part, iteration)

        wrapper = optim_wrapper['discriminator']
        log = step(wrapper, list(zip(parts, self._codes(len(real)))), discriminator_part)
        log.update(step(wrapper, list(zip(parts, fakes)), regularization_part))
        self._train_discriminators(False)
        rendered = fakes if self.share_fakes else self._codes(len(real))
        log.update(step(optim_wrapper['generator'], rendered, generator_part))
        self._train_discriminators(True)

        self.update_ema()
        self.iteration += 1
        return log

    def sample_codes(self, batch: int) -> tuple[Tensor, Tensor]:
        """Normal latent codes: structure (B, structure_dim), texture (B, texture_dim)."""
        return sample_codes(self.generator, batch)

    def _codes(self, batch: int) -> list[Codes]:
        """Latent codes of a batch, in its parts."""
        structure, texture = (z.chunk(self.accumulative_counts) for z in self.sample_codes(batch))
        return list(zip(structure, texture))

    def render(self, structure_z: Tensor, texture_z: Tensor, swap: bool) -> Fakes:
        """Generate a batch; with ``swap`` every structure also with its partner's texture."""
        coords = self.generator.warp(self.generator.map_structure(structure_z))
        texture_w = self.generator.map_texture(texture_z)
        images = self.generator.synthesize(coords, texture_w)
        swapped = self.generator.synthesize(coords, swap_partners(texture_w)) if swap else None
        return Fakes(images, coords, swapped)

    def discriminator_losses(self, real: Tensor, fakes: Fakes, iteration: int) -> dict[str, Tensor]:
        """Weighted terms of the discriminator step (``d_gan``, ``d_patch``)."""
        losses = {}
        if self.losses.acts(iteration, 'd_gan'):
            real_logits = self.discriminator(real)
            losses['d_gan'] = self.losses['d_gan'](real_logits, self.discriminator(fakes.images))
        if self.losses.acts(iteration, 'd_patch'):
            patch = self.patch_discriminator
            reference = patch.aggregate(patch.features(patch.crop(fakes.images)))
            same = patch.decide(reference, patch.features(patch.crop(fakes.images)))
            twin = patch.decide(reference, patch.features(patch.crop(fakes.twins())))
            losses['d_patch'] = self.losses['d_patch'](same, twin)
        return self.losses.scheduled(losses, iteration)

    def regularization_losses(
        self, real: Tensor, fakes: Fakes, iteration: int
    ) -> dict[str, Tensor]:
        """Weighted terms of the lazy regularization step (``d_r1``, ``d_patch_r1``)."""
        losses = {}
        if self.losses.acts(iteration, 'd_r1'):
            real = real.detach().requires_grad_()
            logits = self.discriminator(real)
            # Zero times the logits gives every parameter a gradient: Adam's state advances for all.
            losses['d_r1'] = self.losses['d_r1'](logits, [real]) + 0 * logits.sum()
        if self.losses.acts(iteration, 'd_patch_r1'):
            patch = self.patch_discriminator
            crops = [patch.crop(fakes.images).requires_grad_() for _ in range(2)]
            losses['d_patch_r1'] = self.losses['d_patch_r1'](patch(*crops), crops)
        return self.losses.scheduled(losses, iteration)

    def generator_losses(self, fakes: Fakes, iteration: int) -> dict[str, Tensor]:
        """Weighted terms of the generator step (the names that begin with ``g_``)."""
        images, coords, swapped = fakes
        losses = {}
        if self.losses.acts(iteration, 'g_gan'):
            losses['g_gan'] = self.losses['g_gan'](self.discriminator(images))
        if self.losses.acts(iteration, 'g_patch'):
            patch = self.patch_discriminator
            reference = patch.aggregate(patch.features(patch.crop(images))).detach()
            twin = patch.features(patch.crop(fakes.twins()))
            losses['g_patch'] = self.losses['g_patch'](patch.decide(reference, twin))
        features = None
        if self.losses.acts(iteration, 'g_texture_swap'):
            features = self.perceptual.features(images)
            losses['g_texture_swap'] = self.losses['g_texture_swap'](
                self.perceptual, features, self.perceptual.features(swapped)
            )
        if self.losses.acts(iteration, 'g_chamfer'):
            losses['g_chamfer'] = self.losses['g_chamfer'](coords)
        if self.losses.acts(iteration, 'g_warp'):
            if images.shape[-2:] != coords.shape[-2:]:
                features = None  # those above belong to another size
            losses['g_warp'] = self.losses['g_warp'](self.perceptual, images, coords, features)
        return self.losses.scheduled(losses, iteration)

    @torch.no_grad()
    def update_ema(self) -> None:
        """Move the averaged generator towards the current one."""
        averages = self.generator_ema.parameters()
        for average, current in zip(averages, self.generator.parameters()):
            average.lerp_(current, 1 - self.ema_decay)

    # ------------------------------------------------------------------ sampling

    @torch.no_grad()
    def sample(
        self, structure_z: Tensor, texture_z: Tensor, use_ema: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Pictures and their correspondence maps from latent codes.

        Args:
            structure_z: (B, structure_dim).
            texture_z: (B, texture_dim).
            use_ema: Use the averaged generator.

        Returns:
            Pictures (B, 3, S, S) in about [-1, 1], and maps (B, 2, H, W), x first, in (-1, 1).
        """
        generator = self.generator_ema if use_ema else self.generator
        coords = generator.warp(generator.map_structure(structure_z))
        return generator.synthesize(coords, generator.map_texture(texture_z)), coords

    def val_step(self, data: dict) -> list:
        """Predictions for a batch of the loop; see :meth:`forward`."""
        return self.test_step(data)

    def test_step(self, data: dict) -> list:
        """Predictions for a batch of the loop; see :meth:`forward`.

        Raises:
            ValueError: If the batch is a request and the data preprocessor takes pictures only.
        """
        request = isinstance(data.get('inputs'), Mapping)
        if request and not isinstance(self.data_preprocessor, GANDataPreprocessor):
            raise ValueError(
                'the data set asks for samples, which model.data_preprocessor, a '
                f'{type(self.data_preprocessor).__name__}, does not take: set '
                "model.data_preprocessor.type='GANDataPreprocessor'"
            )
        return super().test_step(data)

    def forward(
        self,
        inputs: Tensor | dict,
        data_samples: Sequence[BaseDataElement] | None = None,
        mode: str = 'tensor',
    ) -> Tensor | list[BaseDataElement]:
        """Generate pictures, as the loops of MMEngine and MMagic ask for them.

        Args:
            inputs: A dict with ``structure_z`` and ``texture_z``, or ``num_batches`` random
                codes, or ``swap_seed``, B seeds, and optionally ``use_ema``; or a batch of
                pictures, of which only the number counts. MMagic's metrics send ``num_batches``
                and ``sample_model``, 'ema', 'orig' or 'ema/orig'.
            data_samples: Not needed; their metadata goes into the predictions.
            mode: 'tensor' or 'predict'.

        Returns:
            'tensor': pictures (B, 3, S, S). 'predict': B data elements with ``fake_img``
            (3, S, S) in about [-1, 1] and ``coords`` (2, H, W); with ``swap_seed`` also
            ``texture_swap_img`` (same structure, other texture) and ``structure_swap_img``. Where
            ``sample_model`` or MMagic's data samples came in, MMagic's data samples with pictures
            as MMagic's metrics take them, see ``integrations.mmagic.answer``.

        Raises:
            ValueError: If ``mode`` is another one: training goes through :meth:`train_step`. If a
                request cannot be met.
        """
        if mode not in ('tensor', 'predict'):
            raise ValueError(f"mode must be 'tensor' or 'predict', but got {mode!r}")
        request = read_request(inputs, data_samples)
        if mode == 'predict':
            return predict(self, request, data_samples)
        codes = request_codes(self.generator, request)
        return self.sample(*codes, use_ema=wants_average(request))[0]

    # ------------------------------------------------------------------ helpers

    def _train_discriminators(self, mode: bool) -> None:
        """Whether backward passes reach the discriminators' weights."""
        self.discriminator.requires_grad_(mode)
        if self.patch_discriminator is not None:
            self.patch_discriminator.requires_grad_(mode)

    def _check_terms(self) -> None:
        for name in self.losses:
            if name in PATCH_TERMS and self.patch_discriminator is None:
                raise ValueError(f'loss term {name} needs a patch_discriminator')
            if name in PERCEPTUAL_TERMS and self.perceptual is None:
                raise ValueError(f'loss term {name} needs perceptual, a perceptual distance')

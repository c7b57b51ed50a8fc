"""CoordGAN, stage 1: train a generator whose images come with correspondence maps."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce_params
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmcoordgan.geometry import RandomWarps, sample_image
from mmcoordgan.registry import MODELS, build_module

from .counted import CountedModel, update_average
from .finite import FiniteGuard
from .images import resize_square
from .losses import DetachedFakes, Fakes, LossTerms, Stage1View
from .pairs import check_even_batch
from .pretrained import load_pretrained
from .sampling import predict, read_request, request_codes

STEPS = ('discriminator', 'regularization', 'generator')
"""The first two have one optimizer, ``discriminator``."""
NETWORKS = ('generator', 'discriminator', 'patch_discriminator', 'perceptual')
EMA_DECAY = 0.5 ** (32 / 10_000)
"""The average of the weights has a half-life of 10,000 images at 32 per iteration."""

MicroBatch = tuple[Tensor, Fakes]
"""Real images (B, 3, S, S), and as many generated ones."""


@MODELS.register_module()
class CoordGAN(CountedModel):
    """CoordGAN's first stage (arXiv:2203.16521): networks, losses, training step.

    Networks are configs or modules.

    Args:
        generator: A :class:`~.networks.Generator`.
        discriminator: Of images.
        losses: Loss terms by name, each a config of a :class:`~.losses.ScheduledLoss`, or None to
            leave it out. The published ones are ``d_gan``, ``d_patch``, ``d_r1``, ``d_patch_r1``,
            ``g_gan``, ``g_patch``, ``g_texture_swap``, ``g_chamfer``, ``g_warp``; others are free.
            Patch terms compare textures of generated images alone. The log shows every term that
            took part under its name, weighted.
        patch_discriminator: Needed by patch terms.
        perceptual: A :class:`~.losses.PerceptualDistance`, e.g. ``LPIPSLoss``; needed by
            ``g_texture_swap`` and ``g_warp``.
        ema_decay: Decay per iteration of the averaged generator, ``generator_ema``.
        share_fakes: Use one batch of generated images in all steps of an iteration, instead of a
            fresh one in the generator step, as published. Saves a quarter of the operations; the
            graphs of all micro-batches stay in memory.
        pretrained_generator: Checkpoint (or work dir) of a CoordGAN with the same base resolution.
            Training starts from its generator, averaged generator, patch discriminator and
            iteration. Upsampling levels that it lacks start fresh.
        frozen: Names of the generator's modules that are not trained, e.g. ``('warp_net',)``.
        accumulative_counts: Number of micro-batches into which a batch is cut. Gradients are those
            of the whole batch, but for the minibatch standard deviation of each micro-batch.
        on_nonfinite: What to do where a loss or a gradient is infinite or not a number: 'error'
            ends the training, 'skip' leaves the optimizer step out (on all ranks), but ends it
            after 100 such iterations in a row.
        real_warps: Show real images to the discriminator through random smooth warps, resized to
            the generator's size: arguments of :class:`~mmcoordgan.geometry.RandomWarps`, and
            ``start``, the first iteration to do so, by default 0. None: as published.
        data_preprocessor: Scales images to [-1, 1].

    Raises:
        ValueError: If a loss term does not belong here, or lacks a network that it needs.
    """

    averages_gradients = True
    """``train_step`` averages gradients over ranks, see :class:`~.CoordGANDistributed`."""

    generator_ema: Any
    discriminator: Any
    patch_discriminator: Any

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
        real_warps: Mapping[str, Any] | None = None,
        data_preprocessor: dict | nn.Module | None = None,
    ):
        super().__init__(data_preprocessor=build_module(data_preprocessor))
        self.generator = build_module(generator)
        self.generator_ema = copy.deepcopy(self.generator).requires_grad_(False).eval()
        self.discriminator = build_module(discriminator)
        self.patch_discriminator = build_module(patch_discriminator)
        self.perceptual = build_module(perceptual)
        networks = [name for name in NETWORKS if getattr(self, name) is not None]
        self.losses = LossTerms(losses, STEPS, networks)
        self.ema_decay = ema_decay
        self.share_fakes = share_fakes
        self.pretrained_generator = pretrained_generator
        self.accumulative_counts = accumulative_counts
        self.guard = FiniteGuard(on_nonfinite)
        warps = dict(real_warps or {})
        self.warp_start = warps.pop('start', 0)
        self.real_warps = None if real_warps is None else RandomWarps(**warps)
        for name in frozen:
            self.generator.get_submodule(name).requires_grad_(False)

    def init_weights(self) -> None:
        """Load ``pretrained_generator``, if there is one."""
        super().init_weights()
        if self.pretrained_generator is not None:
            names = ('generator', 'generator_ema', 'patch_discriminator')
            networks = {n: getattr(self, n) for n in names if getattr(self, n) is not None}
            iteration = load_pretrained(networks, self.pretrained_generator)
            if iteration is not None:
                self.iteration.copy_(iteration)

    # ------------------------------------------------------------------ training

    def train_step(self, data: dict, optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        """One iteration: discriminator step, lazy regularization step, generator step.

        ``inputs`` are B real images, B even, of the generator's size or, with ``real_warps``, of
        any. Optimizers are ``discriminator`` (of both discriminators) and ``generator``. A step is
        left out where none of its terms is active. Returns the weighted values of the terms that
        took part in a step.
        """
        real = self._prepare(self.data_preprocessor(data, True)['inputs'])

        batches = self._generate(real, STEPS if self.share_fakes else STEPS[:2])
        detached: list[MicroBatch] = [(x, DetachedFakes(fakes)) for x, fakes in batches]
        log = self._step('discriminator', optim_wrapper['discriminator'], detached)
        log.update(self._step('regularization', optim_wrapper['discriminator'], detached))

        self._train_discriminators(False)  # gradients pass through them to the images
        if not self.share_fakes:
            batches = self._generate(real, STEPS[2:])
        log.update(self._step('generator', optim_wrapper['generator'], batches))
        self._train_discriminators(True)

        update_average(self.generator_ema, self.generator, self.ema_decay)
        self.iteration += 1
        return log

    def _prepare(self, real: Tensor) -> Tensor:
        """Real images as the discriminator sees them: warped, then of the generator's size."""
        if self.real_warps is None:
            return real
        if int(self.iteration) >= self.warp_start:
            real = sample_image(real, self.real_warps.draw(len(real), real.shape[-1]).to(real))
        return resize_square(real, self.generator.image_size)

    def _generate(self, real: Tensor, used_in: Sequence[str]) -> list[MicroBatch]:
        """Micro-batches of real images beside as many generated ones, from new latents.

        Images are rendered when they are first used, by the terms of the steps ``used_in``.
        """
        count = self.accumulative_counts
        check_even_batch(len(real))
        if len(real) % (2 * count):
            raise ValueError(
                f'model.accumulative_counts={count} needs a train_dataloader.batch_size that is a '
                f'multiple of {2 * count}, but got {len(real)}'
            )
        structure_z, texture_z = self.sample_codes(len(real))
        latents = zip(structure_z.chunk(count), texture_z.chunk(count))
        terms = self.losses.active(used_in, int(self.iteration)).values()
        swaps, grad = any(term.swaps for term in terms), 'generator' in used_in
        fakes = (Fakes(self.generator, *codes, grad=grad, both=swaps) for codes in latents)
        return list(zip(real.chunk(count), fakes))

    def _step(
        self, step: str, wrapper: OptimWrapper, batches: Sequence[MicroBatch]
    ) -> dict[str, Tensor]:
        """Step one optimizer on the loss terms of a step, averaged over micro-batches and ranks.

        Returns their weighted values on the CPU; nothing where no term is active, or where a value
        is not finite and the step is skipped.
        """
        iteration = int(self.iteration)
        log: dict[str, Any] = {}
        for real, fakes in batches:
            with wrapper.optim_context(self):
                losses = self.losses.compute(step, self.view(real, fakes), iteration)
            if losses:
                wrapper.backward(sum(losses.values()) / len(batches))
            for name, value in losses.items():
                log[name] = log.get(name, 0) + value.detach().float() / len(batches)
        if not log:
            return {}
        parameters = [p for group in wrapper.optimizer.param_groups for p in group['params']]
        gradients = [p.grad for p in parameters if p.grad is not None]
        all_reduce_params(gradients, op='mean')
        scaler = getattr(wrapper, 'loss_scaler', None)
        scaled = scaler is not None and scaler.is_enabled()  # the scaler checks gradients itself
        log = self.guard.read(iteration, log, [] if scaled else gradients)
        if log:
            wrapper.step()
        wrapper.zero_grad()
        return log

    def view(self, real: Tensor, fakes: Fakes) -> Stage1View:
        """What the loss terms see of a micro-batch."""
        networks = {name: getattr(self, name) for name in NETWORKS}
        return Stage1View(real=real, fakes=fakes, iteration=int(self.iteration), **networks)

    def _train_discriminators(self, mode: bool) -> None:
        self.discriminator.requires_grad_(mode)
        if self.patch_discriminator is not None:
            self.patch_discriminator.requires_grad_(mode)

    # ------------------------------------------------------------------ sampling

    @torch.no_grad()
    def sample(
        self, structure_z: Tensor, texture_z: Tensor, use_ema: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Latents (B, structure_dim) and (B, texture_dim) -> images (B, 3, S, S) in about [-1, 1]
        and maps (B, 2, H, W) in (-1, 1); of the averaged generator with ``use_ema``.
        """
        generator = self.generator_ema if use_ema else self.generator
        coords = generator.warp(generator.map_structure(structure_z))
        return generator.synthesize(coords, generator.map_texture(texture_z)), coords

    def forward(
        self,
        inputs: Tensor | dict,
        data_samples: Sequence[BaseDataElement] | None = None,
        mode: str = 'tensor',
    ) -> Tensor | list[BaseDataElement]:
        """Generate images, as the loops of MMEngine and MMagic ask for them.

        Args:
            inputs: A dict with ``structure_z`` and ``texture_z``, or ``num_batches`` random
                codes, or ``swap_seed``, B seeds, and optionally ``use_ema``; or a batch of
                images, of which only the number counts. MMagic's metrics send ``num_batches``
                and ``sample_model``, 'ema', 'orig' or 'ema/orig'.
            data_samples: Their metadata goes into the predictions.
            mode: 'tensor' or 'predict'; anything else, or an invalid request, is a ValueError.

        Returns:
            'tensor': images (B, 3, S, S). 'predict': B data elements with ``fake_img``
            (3, S, S) in about [-1, 1] and ``coords`` (2, H, W); with ``swap_seed`` also
            ``texture_swap_img`` (same structure, other texture) and ``structure_swap_img``.
            MMagic's requests get MMagic's data samples, see ``integrations.mmagic.answer``.
        """
        if mode not in ('tensor', 'predict'):
            raise ValueError(
                f"mode must be 'tensor' or 'predict', but got {mode!r}; several processes need "
                "model_wrapper_cfg=dict(type='mmcoordgan.CoordGANDistributed')"
            )
        request = read_request(inputs, data_samples)
        if mode == 'predict':
            return predict(self, request, data_samples)
        kind = request.get('sample_model', 'ema' if request.get('use_ema', True) else 'orig')
        return self.sample(*request_codes(self, request), use_ema=kind.startswith('ema'))[0]

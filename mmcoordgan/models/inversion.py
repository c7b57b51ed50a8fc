"""CoordGAN, stage 2: an encoder that finds the codes, and so the maps, of real pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmcoordgan.registry import MODELS

from .finite import FiniteGuard
from .networks.protocols import Encoding, check_codes_fit, encode
from .pairs import swap_partners
from .pretrained import STAGE1_KEY, check_fit, load_stage1_generator, part_of
from .refinement import Refinement, refine_codes
from .resize import resize_square
from .training import LossTerms, build_module, optimizer_step, sample_codes, split_batch

REAL_TERMS = ('rec_l1', 'rec_perceptual', 'swap_perceptual')
SYNTHESIZED_TERMS = ('structure_w', 'texture_w', 'coords')
PERCEPTUAL_TERMS = ('rec_perceptual', 'swap_perceptual')


class Inversion(NamedTuple):
    """Pictures as the generator sees them; fields of B pictures."""

    structure_w: Tensor
    """(B, structure_width)."""
    texture_w: Tensor
    """(B, num_texture_codes, texture_width), or (B, texture_width) where all layers share one."""
    coords: Tensor
    """(B, 2, H, W): correspondence maps, x first, in (-1, 1)."""
    reconstruction: Tensor
    """(B, 3, S, S): the codes, rendered; RGB in about [-1, 1]."""


@MODELS.register_module()
class CoordGANInversion(BaseModel):
    """CoordGAN's second stage (arXiv:2203.16521, section 3.4): an encoder for a frozen generator.

    The generator is the averaged one of stage 1. It is part of this model's checkpoints, so that
    testing and resuming need nothing else. It is never trained: its parameters require no
    gradient and it stays in evaluation mode, also while the encoder trains, so that its noise is
    'const', the same in every picture, in training as in testing.

    Args:
        generator: Config or module of the generator.
        encoder: Config or module of the encoder, whose codes fit the generator: its
            ``num_texture_codes`` is the generator's (W+) or 1 (W).
        losses: Loss terms by name, each a config of a :class:`~.losses.ScheduledLoss`. On real
            pictures: ``rec_l1`` and ``rec_perceptual`` between picture and reconstruction,
            ``swap_perceptual`` between picture and its structure with its partner's texture. On
            freshly synthesized pictures, between what the encoder finds and the truth:
            ``structure_w``, ``texture_w`` (not in the published training) and ``coords``. A term
            that is left out is not used. The log shows every term under its name, weighted.
        perceptual: Config or module of the perceptual distance, e.g. ``LPIPSLoss``; needed by the
            perceptual terms and by ``refinement``.
        stage1_checkpoint: Where the generator's weights come from: path or URL of a checkpoint of
            :class:`CoordGAN`, or the work dir of its training. Not needed (and may be missing)
            where a checkpoint of this model is loaded. None: the weights are there already.
        refinement: None, or the arguments of :class:`~.refinement.Refinement`, e.g.
            ``dict(steps=50, lr=0.05)``: predictions also come refined by gradient descent. Needs
            an encoder that gives structure codes.
        render_predictions: Render the predictions too, as ``reconstruction``.
        accumulative_counts: Parts of a batch that are computed one after the other, with their
            gradients accumulated: an iteration is one of the whole batch, with the memory of a
            part.
        on_nonfinite: What to do where a loss or a gradient is infinite or not a number: 'error'
            ends the training, 'skip' leaves the optimizer step out (on all processes).
        data_preprocessor: Config of the data preprocessor, which brings pictures to [-1, 1].

    Raises:
        ValueError: If a loss term is unknown or lacks ``perceptual``, if encoder and generator do
            not fit together, or if ``refinement`` is out of range.
    """

    generator: Any  # a Generator
    encoder: Any  # an Encoder
    perceptual: Any
    losses: Any
    iteration: Tensor

    def __init__(
        self,
        generator: dict | nn.Module,
        encoder: dict | nn.Module,
        losses: dict,
        perceptual: dict | nn.Module | None = None,
        stage1_checkpoint: str | None = None,
        refinement: dict | None = None,
        render_predictions: bool = False,
        accumulative_counts: int = 1,
        on_nonfinite: str = 'error',
        data_preprocessor: dict | nn.Module | None = None,
    ):
        super().__init__(data_preprocessor=build_module(data_preprocessor))
        self.generator = build_module(generator).requires_grad_(False).eval()
        self.encoder = build_module(encoder)
        check_codes_fit(self.encoder, self.generator)
        self.perceptual = build_module(perceptual)
        self.losses = LossTerms(losses, known=REAL_TERMS + SYNTHESIZED_TERMS)
        self.refinement = Refinement(**refinement) if refinement else None
        self._check_perceptual()
        self.render_predictions = render_predictions
        self.stage1_checkpoint = stage1_checkpoint
        self._generator_is_trained = stage1_checkpoint is None
        self.accumulative_counts = accumulative_counts
        self.guard = FiniteGuard(on_nonfinite)
        # Kept with the weights, so that schedules go on where a checkpoint was written.
        self.register_buffer('iteration', torch.zeros((), dtype=torch.int64))

    def train(self, mode: bool = True) -> CoordGANInversion:
        """Set the mode of all but the generator, which stays in evaluation mode."""
        super().train(mode)
        self.generator.eval()
        return self

    # ------------------------------------------------------------------ weights

    def init_weights(self) -> None:
        """Load ``stage1_checkpoint``; where it is missing, the first training step says so.

        Until then a checkpoint of this model may bring the generator.
        """
        super().init_weights()
        with suppress(FileNotFoundError):
            self._load_stage1()

    def _load_stage1(self) -> None:
        if not self._generator_is_trained and self.stage1_checkpoint is not None:
            load_stage1_generator(self.generator, self.stage1_checkpoint)
            self._generator_is_trained = True

    def check_state_dict(self, state_dict: Mapping[str, Tensor]) -> None:
        """Make sure that a state dict holds this model's generator and encoder.

        Every way of loading weights into this model calls it, so that a checkpoint of stage 1, or
        of other sizes, is refused rather than loaded in parts.

        Raises:
            ValueError: If it does not; says what is wrong, and lists what does not fit.
        """
        if not part_of(state_dict, 'encoder'):
            stage1 = (
                ': it is one of stage 1 (CoordGAN)' if part_of(state_dict, 'generator_ema') else ''
            )
            raise ValueError(
                f'the checkpoint holds no encoder{stage1}. CoordGANInversion loads checkpoints of '
                f'its own training; to train an encoder for the generator of a stage-1 '
                f'checkpoint, set the config key {STAGE1_KEY} to it'
            )
        for name in ('generator', 'encoder'):
            check_fit(getattr(self, name), part_of(state_dict, name), f'the checkpoint, {name},')

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        own = {k[len(prefix) :]: v for k, v in state_dict.items() if k.startswith(prefix)}
        self.check_state_dict(own)
        super()._load_from_state_dict(state_dict, prefix, *args)
        self._generator_is_trained = True

    # ------------------------------------------------------------------ training

    def train_step(self, data: dict, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """One step of the encoder.

        Args:
            data: ``inputs``: real pictures; B of them, B even.
            optim_wrapper: Of the encoder alone.

        Returns:
            The weighted value of every loss term that acted.
        """
        self._load_stage1()
        real = self.data_preprocessor(data, True)['inputs']
        parts = split_batch(
            resize_square(real, self.generator.image_size), self.accumulative_counts
        )
        iteration = int(self.iteration)

        def part_losses(real: Tensor) -> dict[str, Tensor]:
            with optim_wrapper.optim_context(self):
                return self.encoder_losses(real, iteration)

        log = optimizer_step(optim_wrapper, parts, part_losses, self.guard, iteration)
        self.iteration += 1
        return log

    def encoder_losses(self, real: Tensor, iteration: int) -> dict[str, Tensor]:
        """Weighted terms of the encoder, on real and as many freshly synthesized pictures.

        Args:
            real: (B, 3, S, S), of the generator's size, B even.
            iteration: Decides which terms act.
        """
        needs_real = self.losses.acts(iteration, *REAL_TERMS)
        needs_fakes = self.losses.acts(iteration, *SYNTHESIZED_TERMS)
        losses = {}
        if needs_real:
            losses.update(self._real_losses(real, self.encode(real), iteration))
        if needs_fakes:
            truth, fakes = self.synthesize(*self.sample_codes(len(real)))
            losses.update(self._synthesized_losses(truth, self.encode(fakes), iteration))
        return self.losses.scheduled(losses, iteration)

    def sample_codes(self, batch: int) -> tuple[Tensor, Tensor]:
        """Normal latent codes: structure (B, structure_dim), texture (B, texture_dim)."""
        return sample_codes(self.generator, batch)

    def synthesize(self, structure_z: Tensor, texture_z: Tensor) -> tuple[Encoding, Tensor]:
        """True codes and maps of latents, and the images rendered from them (B, 3, S, S)."""
        generator = self.generator
        structure_w, texture_w = (
            generator.map_structure(structure_z),
            generator.map_texture(texture_z),
        )
        truth = Encoding(structure_w, texture_w, generator.warp(structure_w))
        return truth, self.render(truth)

    def encode(self, images: Tensor) -> Encoding:
        """Codes and maps of RGB images (B, 3, H, W) in [-1, 1]; renders nothing."""
        return encode(self.encoder, self.generator, images)

    def render(self, encoding: Encoding) -> Tensor:
        """Encodings with maps -> RGB images (B, 3, S, S) in about [-1, 1]; differentiable."""
        return self.generator.synthesize(encoding.coords, encoding.texture_w)

    def _real_losses(self, real: Tensor, found: Encoding, iteration: int) -> dict[str, Tensor]:
        losses, terms, perceptual = {}, self.losses, self.perceptual
        features = None
        if terms.acts(iteration, *PERCEPTUAL_TERMS):
            features = perceptual.features(real)
        if terms.acts(iteration, 'rec_l1', 'rec_perceptual'):
            rendered = self.render(found)
            if terms.acts(iteration, 'rec_l1'):
                losses['rec_l1'] = terms['rec_l1'](rendered, real)
            if terms.acts(iteration, 'rec_perceptual'):
                losses['rec_perceptual'] = terms['rec_perceptual'](
                    perceptual, perceptual.features(rendered), features
                )
        if terms.acts(iteration, 'swap_perceptual'):
            swapped = self.render(found._replace(texture_w=swap_partners(found.texture_w)))
            losses['swap_perceptual'] = terms['swap_perceptual'](
                perceptual, perceptual.features(swapped), features
            )
        return losses

    def _synthesized_losses(
        self,
        truth: Encoding,
        found: Encoding,
        iteration: int,
    ) -> dict[str, Tensor]:
        losses, terms = {}, self.losses
        if terms.acts(iteration, 'structure_w'):
            losses['structure_w'] = terms['structure_w'](found.structure_w, truth.structure_w)
        if terms.acts(iteration, 'texture_w'):
            texture_w = truth.texture_w
            if found.texture_w.dim() == 3:  # every layer's code is the same one
                texture_w = texture_w[:, None].expand_as(found.texture_w)
            losses['texture_w'] = terms['texture_w'](found.texture_w, texture_w)
        if terms.acts(iteration, 'coords'):
            losses['coords'] = terms['coords'](found.coords, truth.coords)
        return losses

    # ------------------------------------------------------------------ prediction

    def forward(
        self,
        inputs: Tensor,
        data_samples: Sequence[BaseDataElement] | None = None,
        mode: str = 'tensor',
    ) -> Tensor | list[BaseDataElement]:
        """Invert pictures, as MMEngine's loops ask for it.

        Args:
            inputs: RGB pictures (B, 3, H, W) in [-1, 1].
            data_samples: One for each picture; predictions carry their fields and metadata on.
            mode: 'tensor' or 'predict'.

        Returns:
            'tensor': reconstructions (B, 3, S, S) in about [-1, 1]. 'predict': B data elements
            with ``structure_w`` (where the encoder gives one), ``texture_w`` and ``coords``
            (2, H, W); with ``render_predictions`` also ``reconstruction`` (3, S, S). With
            ``refinement`` the same once more, under names that begin with ``refined_``.

        Raises:
            ValueError: If ``mode`` is another one: training goes through :meth:`train_step`. If
                there are not as many data samples as pictures.
        """
        if mode == 'tensor':
            return self.render(self.encode(inputs))
        if mode != 'predict':
            raise ValueError(f"mode must be 'tensor' or 'predict', but got {mode!r}")
        if data_samples is not None and len(data_samples) != len(inputs):
            raise ValueError(f'{len(inputs)} pictures came with {len(data_samples)} data samples')
        samples = data_samples or [BaseDataElement() for _ in inputs]
        predictions = [sample.new() for sample in samples]
        for name, values in self.predict(inputs).items():
            for prediction, value in zip(predictions, values):
                setattr(prediction, name, value)
        return predictions

    @torch.no_grad()
    def predict(self, images: Tensor) -> dict[str, Tensor]:
        """The fields of the predictions, each for B images (B, 3, H, W) in [-1, 1]."""
        encoding = self.encode(images)
        found = {'': encoding}
        structure_w = encoding.structure_w
        if structure_w is not None and self.refinement is not None and self.refinement.steps > 0:
            codes = refine_codes(
                self.generator,
                self.perceptual,
                images,
                structure_w,
                encoding.texture_w,
                self.refinement,
            )
            found['refined_'] = Encoding(*codes, self.generator.warp(codes[0]))
        fields = {}
        for prefix, encoding in found.items():
            for name, values in encoding._asdict().items():
                if values is not None:
                    fields[f'{prefix}{name}'] = values
            if self.render_predictions:
                fields[f'{prefix}reconstruction'] = self.render(encoding)
        return fields

    # ------------------------------------------------------------------ helpers

    def _check_perceptual(self) -> None:
        users = [f'loss term {name}' for name in PERCEPTUAL_TERMS if name in self.losses]
        if self.refinement is not None and self.refinement.perceptual_weight > 0:
            users.append('refinement with perceptual_weight > 0')
        if self.refinement is not None and self.encoder.structure_width is None:
            raise ValueError(
                f'refinement needs structure codes, which a {type(self.encoder).__name__} '
                'does not give'
            )
        if users and self.perceptual is None:
            raise ValueError(f'{users[0]} needs perceptual, a perceptual distance')

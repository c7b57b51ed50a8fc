"""CoordGAN, stage 2: an encoder that finds the codes, and so the maps, of real images."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmcoordgan.registry import MODELS, build_module

from .counted import CountedModel, update_average
from .finite import FiniteGuard
from .images import resize_square
from .losses import LossTerms, Stage2View
from .networks.protocols import Encoding, check_codes_fit, encode, render
from .pairs import check_even_batch
from .pretrained import STAGE1_KEY, averaged_part, check_fit, load_stage1_generator, part_of
from .refinement import Refinement, refine_codes

NETWORKS = ('generator', 'encoder', 'perceptual')


@MODELS.register_module()
class CoordGANInversion(CountedModel):
    """CoordGAN's second stage (arXiv:2203.16521): an encoder for a frozen generator.

    It trains as MMEngine's models do: ``forward(mode='loss')`` within MMEngine's ``train_step``,
    its ``OptimWrapper`` (which accumulates gradients) and its ``MMDistributedDataParallel``.

    The generator is the averaged one of stage 1 and part of this model's checkpoints. It is never
    trained, and its noise is the same in every image. Networks are configs or modules.

    Args:
        generator: A :class:`~.networks.Generator`.
        encoder: An :class:`~.networks.Encoder` whose codes fit the generator: its
            ``num_texture_codes`` is the generator's (W+) or 1 (W).
        losses: As in :class:`CoordGAN`. The published ones are ``rec_l1``, ``rec_perceptual`` and
            ``swap_perceptual`` on real images, ``structure_w`` and ``coords`` on synthesized ones.
            The log shows a term as ``loss_<name>``, weighted.
        perceptual: As in :class:`CoordGAN`; needed by perceptual terms and by ``refinement``.
        stage1_checkpoint: Where the generator's weights come from: path or URL of a checkpoint of
            :class:`CoordGAN`, or the work dir of its training. May be missing where a checkpoint
            of this model is loaded.
        refinement: None, or the arguments of :class:`~.refinement.Refinement`, e.g.
            ``dict(steps=50, lr=0.05)``: predictions also come refined by gradient descent. Needs
            an encoder that gives structure codes.
        ema_decay: Decay per iteration of the averaged encoder, ``encoder_ema``. It makes the
            predictions, and is the teacher of :class:`~.losses.EquivarianceLoss`. None: no average
            is kept, as published.
        teacher_interval: The teacher is ``encoder_teacher``, a copy of the average that is renewed
            every so many iterations. None: the average itself.
        render_predictions: Render the predictions too, as ``reconstruction``.
        fresh_noise: Draw the generator's noise anew in every rendering while training (published).
        on_nonfinite: What to do where a loss is infinite or not a number: 'error' ends the
            training, 'skip' leaves the micro-batch out (on all ranks). For gradients, MMEngine has
            ``clip_grad=dict(max_norm=..., error_if_nonfinite=True)``.
        data_preprocessor: Scales images to [-1, 1].

    Raises:
        ValueError: If a loss term does not belong here or lacks a network, if encoder and
            generator do not fit together, or if ``refinement`` is out of range.
    """

    encoder: Any
    encoder_ema: Any
    encoder_teacher: Any

    def __init__(
        self,
        generator: dict | nn.Module,
        encoder: dict | nn.Module,
        losses: dict,
        perceptual: dict | nn.Module | None = None,
        stage1_checkpoint: str | None = None,
        refinement: dict | None = None,
        ema_decay: float | None = None,
        teacher_interval: int | None = None,
        render_predictions: bool = False,
        fresh_noise: bool = False,
        on_nonfinite: str = 'error',
        data_preprocessor: dict | nn.Module | None = None,
    ):
        super().__init__(data_preprocessor=build_module(data_preprocessor))
        self.generator = build_module(generator).requires_grad_(False).eval()
        self.encoder = build_module(encoder)
        check_codes_fit(self.encoder, self.generator)
        self.ema_decay = ema_decay
        self.encoder_ema = None
        if ema_decay is not None:
            self.encoder_ema = copy.deepcopy(self.encoder).requires_grad_(False).eval()
        if teacher_interval and ema_decay is None:
            raise ValueError('teacher_interval needs ema_decay: it copies the average')
        self.teacher_interval = teacher_interval
        self.encoder_teacher = copy.deepcopy(self.encoder_ema) if teacher_interval else None
        self.perceptual = build_module(perceptual)
        networks = [name for name in NETWORKS if getattr(self, name) is not None]
        networks += ['teacher'] if ema_decay is not None else []
        self.losses = LossTerms(losses, ('encoder',), networks)
        self.refinement = Refinement(**refinement) if refinement else None
        if self.refinement and self.encoder.structure_width is None:
            raise ValueError(
                f'refinement needs structure codes, which a {type(self.encoder).__name__} lacks'
            )
        if self.refinement and self.refinement.perceptual_weight > 0 and self.perceptual is None:
            raise ValueError('refinement with perceptual_weight > 0 needs perceptual')
        self.render_predictions = render_predictions
        self.fresh_noise = fresh_noise
        self.stage1_checkpoint = stage1_checkpoint
        self.guard = FiniteGuard(on_nonfinite)
        self._ddp_params_and_buffers_to_ignore = ['iteration']  # NCCL takes no tensor on the CPU

    def train(self, mode: bool = True) -> CoordGANInversion:
        """Set the mode of all but the average and, without ``fresh_noise``, the generator."""
        super().train(mode)
        self.generator.train(mode and self.fresh_noise)
        for encoder in (self.encoder_ema, self.encoder_teacher):
            if encoder is not None:
                encoder.eval()
        return self

    # ------------------------------------------------------------------ weights

    def init_weights(self) -> None:
        """Load ``stage1_checkpoint``; where there is no such file, the first training step fails
        unless a checkpoint of this model brings the generator.
        """
        super().init_weights()
        with suppress(FileNotFoundError):
            self._load_stage1()

    def _load_stage1(self) -> None:
        if self.stage1_checkpoint is not None:
            load_stage1_generator(self.generator, self.stage1_checkpoint)
            self.stage1_checkpoint = None

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        """Refuse a checkpoint of stage 1, or of other sizes: MMEngine would load parts of it."""
        own = {k[len(prefix) :]: v for k, v in state_dict.items() if k.startswith(prefix)}
        if not part_of(own, 'encoder'):
            raise ValueError(
                'the checkpoint holds no encoder. To train one for a checkpoint of stage 1, set '
                f'the config key {STAGE1_KEY} to it'
            )
        for name in ('generator', 'encoder'):
            check_fit(getattr(self, name), part_of(own, name), f'the checkpoint, {name},')
        average = averaged_part(own, 'encoder')  # published models hold it as the encoder
        for copied in ('encoder_ema', 'encoder_teacher'):
            if getattr(self, copied) is not None and not part_of(own, copied):
                state_dict.update({f'{prefix}{copied}.{name}': v for name, v in average.items()})
        super()._load_from_state_dict(state_dict, prefix, *args)
        self.stage1_checkpoint = None

    # ------------------------------------------------------------------ training

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """Weighted values of the active terms; counts the iteration.

        Real images (B, 3, H, W) in [-1, 1], B even, are resized to the generator's size.
        """
        self._load_stage1()
        self._update_ema()
        check_even_batch(len(images))
        view = self.view(resize_square(images, self.generator.image_size))
        losses = self.losses.compute('encoder', view, view.iteration)
        self.iteration += 1
        named = {f'loss_{name}': value for name, value in losses.items()}
        return named or {'loss_none': self._zero()}

    def view(self, real: Tensor) -> Stage2View:
        """What the loss terms see of a micro-batch of the generator's size."""
        networks = {name: getattr(self, name) for name in NETWORKS}
        return Stage2View(
            real=real,
            iteration=int(self.iteration),
            sample_codes=self.sample_codes,
            teacher=self.encoder_teacher or self.encoder_ema,
            **networks,
        )

    def _update_ema(self) -> None:
        """Average the weights that the iteration before has left; early averages are short."""
        if self.encoder_ema is None:
            return
        iteration = int(self.iteration)
        decay = min(self.ema_decay or 0.0, iteration / (iteration + 10))
        update_average(self.encoder_ema, self.encoder, decay)
        if self.teacher_interval and iteration % self.teacher_interval == 0:
            self.encoder_teacher.load_state_dict(self.encoder_ema.state_dict())

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum the losses; their means over all ranks go into the log."""
        total, log = super().parse_losses(losses)
        log = self.guard.read(int(self.iteration) - 1, log, ())
        return (total, log) if log else (self._zero(), {})

    def _zero(self) -> Tensor:
        """A loss of zero, whose gradient is zero for all of the encoder's parameters."""
        return torch.stack([0 * p.sum() for p in self.encoder.parameters()]).sum()

    # ------------------------------------------------------------------ prediction

    def forward(
        self,
        inputs: Tensor,
        data_samples: Sequence[BaseDataElement] | None = None,
        mode: str = 'tensor',
    ) -> Tensor | list[BaseDataElement] | dict[str, Tensor]:
        """Invert images, as MMEngine's loops ask for it.

        Args:
            inputs: RGB images (B, 3, H, W) in [-1, 1].
            data_samples: One for each image; predictions carry their fields and metadata on.
            mode: 'loss', 'tensor' or 'predict'; anything else is a ValueError.

        Returns:
            'loss': see :meth:`loss`. 'tensor': reconstructions (B, 3, S, S) in about [-1, 1].
            'predict': B data elements with ``structure_w`` (where the encoder gives one),
            ``texture_w`` and ``coords`` (2, H, W); with ``render_predictions`` also
            ``reconstruction`` (3, S, S). With ``refinement`` the same once more, under names that
            begin with ``refined_``.
        """
        if mode == 'loss':
            return self.loss(inputs)
        if mode == 'tensor':
            return self.render(self.encode(inputs))
        if mode != 'predict':
            raise ValueError(f"mode must be 'loss', 'tensor' or 'predict', but got {mode!r}")
        samples = data_samples or [BaseDataElement() for _ in inputs]
        predictions = [sample.new() for sample in samples]
        for name, values in self.predict(inputs).items():
            for prediction, value in zip(predictions, values):
                setattr(prediction, name, value)
        return predictions

    def encode(self, images: Tensor) -> Encoding:
        """Codes and maps of RGB images (B, 3, H, W) in [-1, 1], by the averaged encoder if any."""
        encoder = self.encoder if self.encoder_ema is None else self.encoder_ema
        return encode(encoder, self.generator, images)

    def render(self, encoding: Encoding) -> Tensor:
        """Encodings with maps -> RGB images (B, 3, S, S) in about [-1, 1]; differentiable."""
        return render(self.generator, encoding)

    @torch.no_grad()
    def predict(self, images: Tensor) -> dict[str, Tensor]:
        """The fields of the predictions, each for B images (B, 3, H, W) in [-1, 1]."""
        encoding = self.encode(images)
        found = {'': encoding}
        refinement, structure_w = self.refinement, encoding.structure_w
        if structure_w is not None and refinement is not None and refinement.steps > 0:
            start = structure_w, encoding.texture_w
            codes = refine_codes(self.generator, self.perceptual, images, *start, refinement)
            found['refined_'] = Encoding(*codes, self.generator.warp(codes[0]))
        fields = {}
        for prefix, encoding in found.items():
            given = {k: v for k, v in encoding._asdict().items() if v is not None}
            fields.update({f'{prefix}{name}': values for name, values in given.items()})
            if self.render_predictions:
                fields[f'{prefix}reconstruction'] = self.render(encoding)
        return fields

"""The optimizer steps of stage 1, over micro-batches and ranks."""

from __future__ import annotations

from collections.abc import Iterable

from mmengine.optim import OptimWrapper
from torch import Tensor

from .distributed import average_gradients, average_values
from .finite import FiniteGuard
from .pairs import check_even_batch


def split_batch(images: Tensor, parts: int) -> tuple[Tensor, ...]:
    """Cut a batch (B, ...) into equal micro-batches of whole pairs; ValueError if impossible."""
    check_even_batch(len(images))
    if len(images) % (2 * parts):
        raise ValueError(
            f'model.accumulative_counts={parts} needs a train_dataloader.batch_size that is a '
            f'multiple of {2 * parts}, but got {len(images)}'
        )
    return images.chunk(parts)


def optimizer_step(
    wrapper: OptimWrapper,
    losses: Iterable[dict[str, Tensor]],
    count: int,
    guard: FiniteGuard,
    iteration: int,
) -> dict[str, Tensor]:
    """Make one optimizer step on the mean loss over micro-batches and ranks.

    Args:
        wrapper: Of the networks to step.
        losses: Named losses of each micro-batch, whose sum is minimized; each is differentiated
            before the next is computed.
        count: Number of micro-batches.
        guard: Decides whether to step where losses or gradients are not finite.
        iteration: Counted from 0.

    Returns:
        The mean losses, on the CPU, for the log; nothing where the step was skipped.
    """
    log: dict[str, Tensor] = {}
    for values in losses:
        if values:
            wrapper.backward(sum(values.values()) / count)
        for name, value in values.items():
            log[name] = log.get(name, 0) + value.detach().float() / count
    if not log:
        return {}
    parameters = [p for group in wrapper.optimizer.param_groups for p in group['params']]
    average_gradients(parameters)
    log = average_values(log)
    scaler = getattr(wrapper, 'loss_scaler', None)
    scaled = scaler is not None and scaler.is_enabled()  # then it looks after the gradients
    gradients = [] if scaled else [p.grad for p in parameters if p.grad is not None]
    log = guard.read(iteration, log, gradients)
    if log:
        wrapper.step()
    wrapper.zero_grad()
    return log

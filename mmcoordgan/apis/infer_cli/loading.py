"""What every verb begins with."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmcoordgan.apis.inferencer import CoordGANInferencer
from mmcoordgan.engine.launch import LaunchError

from .outputs import Failures


def load(args: argparse.Namespace) -> CoordGANInferencer:
    """The inferencer that the options describe."""
    vgg_weights = getattr(args, 'vgg_weights', None)
    if vgg_weights is not None and not args.refine:
        raise LaunchError('--vgg-weights serves to refine codes: add --refine STEPS, or drop it')
    with explained():
        return CoordGANInferencer(
            args.config,
            args.checkpoint,
            device=args.device,
            show_progress=not args.quiet,
            temperature=getattr(args, 'temperature', None),
            vgg_weights=vgg_weights,
        )


@contextmanager
def explained() -> Iterator[None]:
    """Errors in what the user gives, as opposed to errors of the program."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise LaunchError(str(error)) from None


def settings(args: argparse.Namespace, failures: Failures) -> dict[str, Any]:
    """What the options say about reading many pictures."""
    return dict(batch_size=args.batch_size, refine=args.refine, on_broken=failures.add)

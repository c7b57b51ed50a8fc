"""Moved to ``mmcoordgan.io.files``; this file goes when nothing imports it any more."""

from mmcoordgan.io.files import (  # noqa: F401
    atomic_file,
    check_checkpoint_file,
    refusal_reason,
    safe_load_options,
    unreadable,
)

"""Moved to ``mmcoordgan.cli`` and ``mmcoordgan.errors``; this file goes as soon as it can."""

from mmcoordgan.cli.config import load_config  # noqa: F401
from mmcoordgan.cli.launch import explained_errors, forbid_unsafe_loading  # noqa: F401
from mmcoordgan.errors import UserError as LaunchError  # noqa: F401
from mmcoordgan.shipped import read_config  # noqa: F401

"""From the command line to a verb, and from its outcome to an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from mmcoordgan.engine.launch import explained_errors, forbid_unsafe_loading

from . import generate, transfer
from .outputs import Failures
from .parser import build_parser

VERBS: dict[str, Any] = {
    'encode': transfer.encode,
    'correspond': transfer.correspond,
    'transfer-labels': transfer.transfer_labels,
    'transfer-points': transfer.transfer_points,
    'swap-texture': generate.swap_texture,
    'sample': generate.sample,
    'interpolate': generate.interpolate,
}
# What explained_errors makes one message of.
EXPLAINED = (FileNotFoundError, NotADirectoryError, PermissionError)


def run(program: str = 'infer.py', argv: Sequence[str] | None = None) -> int:
    """Do what the command line asks for.

    Args:
        program: Name in messages.
        argv: Arguments; default: those of this process.

    Returns:
        Exit code: 0, 1 if pictures could not be read, 130 after Ctrl-C. Requests that cannot be
        met end the process with exit code 2, errors of the disk with 1.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):  # names of files may be no text
            stream.reconfigure(errors='backslashreplace')
    args = build_parser(program).parse_args(argv)
    failures = Failures(program)
    with explained_errors(program):
        forbid_unsafe_loading()
        try:
            VERBS[args.verb](args, failures)
        except KeyboardInterrupt:
            print(f'{program}: interrupted; files that are written are complete', file=sys.stderr)
            failures.report()
            return 130
        except BaseException as error:
            failures.report()
            if not isinstance(error, OSError) or isinstance(error, EXPLAINED):
                raise
            print(f'{program}: error: {error}', file=sys.stderr)
            return 1
    return failures.report()

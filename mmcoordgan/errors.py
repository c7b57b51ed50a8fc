"""User errors: how they are raised, and how programs show them as one message."""

from __future__ import annotations

import pickle
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(ValueError):
    """Something that the user can put right: the message, one paragraph, says what and how.

    ``exit_code`` is that of the program: 2 if it has not begun its work, 1 otherwise.
    """

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def printable(text: object) -> str:
    """Text without characters that a terminal would obey, such as those in names of files."""
    return ''.join(c if c.isprintable() or c == '\n' else ascii(c)[1:-1] for c in str(text))


@contextmanager
def explained_errors(program: str, after_interruption: str = '') -> Iterator[None]:
    """End the program with one message where the user or the machine, not the code, is at fault.

    The exit code is 2 for requests that cannot be met, and 1 for what fails later: files that are
    missing or cannot be written (the message names the line that asked for them), packages that are
    missing, losses that are not finite; 130 after Ctrl-C. All other errors keep their traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):  # names of files may be no text
            stream.reconfigure(errors='backslashreplace')
    try:
        yield
        return
    except (UserError, ImportError) as error:
        message, code = f'{error}{_root_cause(error)}', getattr(error, 'exit_code', 1)
    except OSError as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        message, code = f'{error} (asked for by {frame.filename}, line {frame.lineno})', 1
    except KeyboardInterrupt:
        message, code = f'interrupted; written files are complete{after_interruption}', 130
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[-1]
        message, code = f'a checkpoint is refused, because reading it would run code: {reason}', 1
    print(f'{program}: error: {printable(" ".join(message.split()))}', file=sys.stderr)
    sys.exit(code)


@contextmanager
def explained() -> Iterator[None]:
    """Errors in what the user gives, as opposed to errors of the program."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise UserError(str(error)) from None


def _root_cause(error: BaseException) -> str:
    """The first cause of an error, if it is a module that cannot be imported."""
    cause = error
    while inner := cause.__cause__ or (not cause.__suppress_context__ and cause.__context__):
        cause = inner
    told = str(cause) in str(error) or not isinstance(cause, ImportError)
    return '' if told else f' ({type(cause).__name__}: {cause})'

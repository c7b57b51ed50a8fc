"""The error that programs show as one message."""

from __future__ import annotations


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

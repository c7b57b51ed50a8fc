"""What a training leaves in its work dir."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmcoordgan.errors import UserError
from mmcoordgan.io.files import check_checkpoint_file

POINTER = 'last_checkpoint'
"""Name of the file that names the checkpoint written last."""
_NUMBERED = re.compile(r'(?!best_|nonfinite_).*?(\d+)\.pth')


def last_checkpoint(work_dir: str | Path) -> str | None:
    """Find the checkpoint that a run in ``work_dir`` wrote last.

    The file ``last_checkpoint`` names it. A file of that name in the work dir comes first, so that
    a work dir that was moved or copied stands for its own checkpoints. Without the file, the
    checkpoint with the highest number is taken.

    Returns:
        Its path, or None if there is none.

    Raises:
        FileNotFoundError: ``work_dir/last_checkpoint`` names a file that is not there.
    """
    named = _named(work_dir)
    if named is None:
        numbered = _numbered(work_dir)
        return str(numbered[0]) if numbered else None
    for path in (Path(work_dir) / named.name, Path(work_dir) / named):
        if os.path.isfile(path):
            return str(path)
    raise FileNotFoundError(f'{Path(work_dir) / POINTER} names {named}, which does not exist')


def intact_checkpoint(work_dir: str | Path) -> tuple[str | None, list[str]]:
    """Find the newest checkpoint in ``work_dir`` that is there and intact.

    Returns:
        Its path, or None if no run has written any; and why newer ones were passed over.

    Raises:
        UserError: There are checkpoints, but none of them is intact.
    """
    passed_over = []
    older = _numbered(work_dir)
    named = _named(work_dir)
    if named is not None:
        if _number(named) >= 0:  # it may be nonsense
            older = [path for path in older if _number(path) < _number(named)]
        try:
            older.insert(0, Path(str(last_checkpoint(work_dir))))
        except FileNotFoundError as error:
            passed_over.append(str(error))
    for path in older:
        try:
            check_checkpoint_file(path)
        except ValueError as error:
            passed_over.append(str(error))
        else:
            return str(path), passed_over
    if passed_over:
        raise UserError(
            f'{"; ".join(passed_over)}. There is no intact checkpoint before it in {work_dir}: '
            'give one with --resume CHECKPOINT, or move those files away to start afresh'
        )
    return None, []


@contextmanager
def locked_work_dir(work_dir: str | Path) -> Iterator[None]:
    """Keep the trainings of other processes out of ``work_dir``.

    The lock is a file ``lock`` that names its holder. It goes with the process, however that ends.
    Nothing is locked on systems and file systems that know no locks.

    Raises:
        UserError: Another process trains there; names it.
    """
    os.makedirs(work_dir, exist_ok=True)
    with open(os.path.join(work_dir, 'lock'), 'a+') as file:
        try:
            import fcntl

            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            holder = file.read(200).strip() or 'another process'
            raise UserError(
                f'{work_dir} is in use by {holder}: end that training, or choose another --work-dir'
            ) from None
        except (ImportError, OSError):  # no locks here, or Windows
            pass
        file.truncate(0)
        since = time.strftime('%Y-%m-%d %H:%M:%S')
        file.write(f'process {os.getpid()} on {socket.gethostname()} since {since}\n')
        file.flush()
        yield


def _named(work_dir: str | Path) -> Path | None:
    pointer = Path(work_dir) / POINTER
    if not pointer.is_file():
        return None
    with open(pointer, 'rb') as file:
        return Path(file.read(4096).decode(errors='replace').strip())


def _numbered(work_dir: str | Path) -> list[Path]:
    """Checkpoints of a training in ``work_dir``, the one with the highest number first."""
    found = [p for p in Path(work_dir).glob('*.pth') if _NUMBERED.fullmatch(p.name) and p.is_file()]
    return sorted(found, key=_number, reverse=True)


def _number(path: Path) -> int:
    found = _NUMBERED.fullmatch(path.name)
    return int(found[1]) if found else -1

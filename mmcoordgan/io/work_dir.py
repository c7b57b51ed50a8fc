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

from .files import load_checkpoint

POINTER = 'last_checkpoint'
"""Name of the file that names the checkpoint written last."""
_NUMBERED = re.compile(r'(?!best_|nonfinite_).*?(\d+)\.pth')


def last_checkpoint(work_dir: str | Path) -> str | None:
    """The path of the checkpoint that a run in ``work_dir`` wrote last; None if there is none.

    The file ``last_checkpoint`` names it; a file of that name in the work dir comes first, as in a
    copied work dir. Without the file, takes the checkpoint with the highest number.
    FileNotFoundError: the checkpoint that it names is missing.
    """
    found = _candidates(Path(work_dir))
    if found and not found[0].is_file():
        pointer = Path(work_dir) / POINTER
        raise FileNotFoundError(f'{pointer} names {found[0].name}, which does not exist')
    return str(found[0]) if found else None


def intact_checkpoint(work_dir: str | Path) -> tuple[str | None, list[str]]:
    """The path of the newest intact checkpoint, and why newer ones were passed over.

    The path is None if there are no checkpoints. If none of them is intact, it is a UserError.
    """
    passed_over = []
    for path in _candidates(Path(work_dir)):
        try:
            load_checkpoint(path)
        except (FileNotFoundError, ValueError) as error:
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
    """Keep the trainings of other processes out of ``work_dir``; UserError names one that is there.

    The lock, a file ``lock`` that names its holder, ends with the process. Systems and file systems
    without locks lock nothing.
    """
    os.makedirs(work_dir, exist_ok=True)
    with open(os.path.join(work_dir, 'lock'), 'a+') as file:
        try:
            import fcntl

            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            holder = file.read(200).strip() or 'another process'
            message = f'{work_dir} is in use by {holder}: end it, or choose another --work-dir'
            raise UserError(message) from None
        except (ImportError, OSError):  # no locks here, or Windows
            pass
        file.truncate(0)
        since = time.strftime('%Y-%m-%d %H:%M:%S')
        file.write(f'process {os.getpid()} on {socket.gethostname()} since {since}\n')
        file.flush()
        yield


def _candidates(work_dir: Path) -> list[Path]:
    """Checkpoints of a training in ``work_dir``, the last one first; the first may be missing."""
    numbers = {p: int(m[1]) for p in work_dir.glob('*.pth') if (m := _NUMBERED.fullmatch(p.name))}
    found = sorted(numbers, key=numbers.__getitem__, reverse=True)
    pointer = work_dir / POINTER
    if not pointer.is_file():
        return found
    named = Path(pointer.read_bytes()[:4096].decode(errors='replace').strip())
    number = _NUMBERED.fullmatch(named.name)  # it may be nonsense
    older = [path for path in found if not number or numbers[path] < int(number[1])]
    own = work_dir / named.name
    return [own if os.path.isfile(own) else work_dir / named, *older]

"""What a training leaves in its work dir."""

from __future__ import annotations

from pathlib import Path


def last_checkpoint(work_dir: str | Path) -> str | None:
    """The checkpoint that a run in ``work_dir`` wrote last, or None if there is none.

    MMEngine writes its path to the file ``last_checkpoint``; a work dir that was moved since,
    with its checkpoints, is understood.

    Raises:
        FileNotFoundError: ``work_dir/last_checkpoint`` names a file that is not there.
    """
    pointer = Path(work_dir) / 'last_checkpoint'
    if not pointer.is_file():
        return None
    written = Path(pointer.read_text().strip())
    for path in (written, Path(work_dir) / written.name):
        if path.is_file():
            return str(path)
    raise FileNotFoundError(f'{pointer} names {written}, which does not exist')

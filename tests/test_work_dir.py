"""The last checkpoint of a work dir."""

from __future__ import annotations

import re

import pytest

from mmcoordgan.work_dir import last_checkpoint


def test_last_checkpoint(tmp_path):
    assert last_checkpoint(tmp_path) is None
    for name in ('iter_3.pth', 'iter_20.pth'):
        (tmp_path / name).touch()
    (tmp_path / 'last_checkpoint').write_text(f'{tmp_path}/iter_3.pth\n')
    assert last_checkpoint(str(tmp_path)) == f'{tmp_path}/iter_3.pth'
    (tmp_path / 'last_checkpoint').write_text('/elsewhere/iter_20.pth')
    assert last_checkpoint(tmp_path) == f'{tmp_path}/iter_20.pth'  # moved with its folder
    (tmp_path / 'iter_20.pth').unlink()
    message = f'{tmp_path}/last_checkpoint names /elsewhere/iter_20.pth, which does not exist'
    with pytest.raises(FileNotFoundError, match=re.escape(message)):
        last_checkpoint(tmp_path)

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmcoordgan.errors import UserError
from mmcoordgan.io.work_dir import intact_checkpoint, last_checkpoint, locked_work_dir


def write(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        torch.save({'a': torch.zeros(9)}, folder / name)


def test_the_pointer_names_the_last_checkpoint(tmp_path):
    assert last_checkpoint(tmp_path) is None
    work, elsewhere = tmp_path / 'work', tmp_path / 'elsewhere'
    write(work, 'iter_3.pth', 'iter_20.pth')
    write(elsewhere, 'iter_3.pth', 'ckpt_4.pth')
    pointer = work / 'last_checkpoint'
    for written, found in {
        'iter_3.pth\n': work / 'iter_3.pth',
        # In a copy of a work dir, its own file.
        str(elsewhere / 'iter_3.pth'): work / 'iter_3.pth',
        # In another folder, by the hook's out_dir.
        '../elsewhere/ckpt_4.pth': work / '../elsewhere/ckpt_4.pth',
    }.items():
        pointer.write_text(written)
        assert last_checkpoint(str(work)) == str(found)
    pointer.write_text('iter_5.pth')
    with pytest.raises(FileNotFoundError, match=r'last_checkpoint names iter_5\.pth, which'):
        last_checkpoint(work)


def test_without_the_pointer_the_highest_number_counts(tmp_path):
    write(tmp_path, 'iter_9.pth', 'iter_10.pth', 'best_iou_iter_11.pth', 'nonfinite_iter_12.pth')
    write(tmp_path, 'weights.pth')
    assert last_checkpoint(tmp_path) == str(tmp_path / 'iter_10.pth')


@pytest.mark.parametrize('damage', ['truncated', 'flipped', 'missing'])
def test_a_damaged_checkpoint_leaves_the_one_before(tmp_path, damage):
    write(tmp_path, 'iter_1.pth', 'iter_2.pth', 'iter_3.pth', 'iter_4.pth')
    (tmp_path / 'last_checkpoint').write_text('iter_3.pth')
    path = tmp_path / 'iter_3.pth'
    data = path.read_bytes()
    if damage == 'truncated':
        path.write_bytes(data[:-100])
    elif damage == 'flipped':
        place = data.index(bytes(36))
        path.write_bytes(data[:place] + b'\1' + data[place + 1 :])
    else:
        path.unlink()
    found, reasons = intact_checkpoint(tmp_path)
    assert found == str(tmp_path / 'iter_2.pth')
    assert len(reasons) == 1 and 'iter_3.pth' in reasons[0]
    for older in ('iter_1.pth', 'iter_2.pth'):
        (tmp_path / older).write_bytes(b'')
    with pytest.raises(UserError, match='no intact checkpoint before it'):
        intact_checkpoint(tmp_path)


@pytest.mark.parametrize('pointer', [b'', b'\xff\xfe\0', b'x' * 5000, b'gone.pth'])
def test_a_damaged_pointer_leaves_all_checkpoints(tmp_path, pointer):
    write(tmp_path, 'iter_1.pth', 'iter_2.pth')
    (tmp_path / 'last_checkpoint').write_bytes(pointer)
    found, reasons = intact_checkpoint(tmp_path)
    assert found == str(tmp_path / 'iter_2.pth')
    assert len(reasons) == 1 and 'does not exist' in reasons[0]


LOCK = 'import sys, mmcoordgan.io.work_dir as w; w.locked_work_dir(sys.argv[1]).__enter__()'


def test_a_work_dir_has_one_training(tmp_path):
    def lock() -> subprocess.CompletedProcess:
        command = [sys.executable, '-c', LOCK, str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True)

    with locked_work_dir(tmp_path):
        assert f'is in use by process {os.getpid()} on ' in lock().stderr
    assert lock().returncode == 0

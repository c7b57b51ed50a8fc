"""Checkpoint files: read without running anything, checked, and written whole."""

import errno
import os
import random
import stat
import zipfile

import pytest
import torch
from official_files import Call

from mmcoordgan.io.files import AtomicLocalBackend, load_checkpoint


def test_atomic_writes(tmp_path, monkeypatch):
    path = tmp_path / 'new folder' / 'a.pth'
    backend = AtomicLocalBackend()
    backend.put(b'old', path)
    assert path.read_bytes() == b'old'
    (tmp_path / 'ordinary').touch()
    assert path.stat().st_mode == (tmp_path / 'ordinary').stat().st_mode

    def no_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, 'Invalid argument')

    monkeypatch.setattr(os, 'fsync', no_folders)  # as on some file systems
    backend.put(b'old', path)

    def killed(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, 'fsync', killed)
    with pytest.raises(KeyboardInterrupt):
        backend.put(b'half of the new', path)
    assert path.read_bytes() == b'old'
    assert os.listdir(path.parent) == ['a.pth']


def flat(value, place=''):
    """All values, by their places; tensors as lists."""
    if isinstance(value, dict):
        return {p: v for k, item in value.items() for p, v in flat(item, f'{place}.{k}').items()}
    return {place: value.tolist() if isinstance(value, torch.Tensor) else value}


def test_a_flipped_bit_is_seen(tmp_path):
    """Wherever a bit is flipped, the file is refused or holds what it held."""
    path = tmp_path / 'a.pth'
    content = {'state_dict': {'a': torch.rand(40), 'b': torch.rand(3)}, 'meta': {'iter': 3}}
    torch.save(content, path)
    data, source, refused = path.read_bytes(), random.Random(0), 0
    for _ in range(600):
        position, bit = source.randrange(len(data)), source.randrange(8)
        flipped = bytearray(data)
        flipped[position] ^= 1 << bit
        path.write_bytes(flipped)
        try:
            assert flat(load_checkpoint(path)) == flat(content), (position, bit)
        except ValueError:
            refused += 1
    assert refused > 100


def deflated(path):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('archive/data.pkl', b'\x80\x02' + b']' * (1 << 20) + b'.')
        archive.writestr('archive/version', b'3\n')


def nested(levels):
    """A list whose lists are the same ones, twice each."""
    value = [0]
    for _ in range(levels):
        value = [value, value]
    return value


BOMBS = {
    'bytearray': (lambda path: torch.save({'x': Call(bytearray, 6 * 10**9)}, path), 'bytearray'),
    'legacy bytearray': (
        lambda path: torch.save(
            {'x': Call(bytearray, 6 * 10**9)}, path, _use_new_zipfile_serialization=False
        ),
        'bytearray',
    ),
    'deflated': (deflated, 'larger than the file'),
    'shared lists': (lambda path: torch.save({'x': nested(60)}, path), 'more values than a file'),
    'expanded tensor': (
        lambda path: torch.save({'x': torch.zeros(1).expand(10**6, 10**6)}, path),
        'a tensor claims more',
    ),
    'meta tensor': (
        lambda path: torch.save({'x': torch.empty(10**6, 10**6, device='meta')}, path),
        'a tensor claims more',
    ),
}


@pytest.mark.parametrize('kind', BOMBS)
def test_a_file_claims_no_more_than_it_holds(tmp_path, kind):
    make, message = BOMBS[kind]
    make(tmp_path / 'bomb.pth')
    assert (tmp_path / 'bomb.pth').stat().st_size < 10_000
    with pytest.raises(ValueError, match=rf'bomb\.pth cannot be read .*{message}'):
        load_checkpoint(tmp_path / 'bomb.pth')

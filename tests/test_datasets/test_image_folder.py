import os

import pytest
from mmengine.logging import MMLogger
from PIL import Image

from mmcoordgan.datasets import BrokenImageError, ImageFolder
from mmcoordgan.registry import DATASETS


def save(path, colour=(255, 0, 0), size=(6, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', size, colour).save(path)


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    messages: list[str] = []
    monkeypatch.setattr(MMLogger, 'warning', lambda self, message: messages.append(message))
    return messages


def test_order_extensions_and_depth(tmp_path):
    names = ['b.png', '10.jpg', '2.JPG', 'a/z.jpeg', 'a/b/c.WebP', 'a-b.bmp']
    for name in names:
        save(tmp_path / name)
    (tmp_path / 'notes.txt').write_text('no image')
    save(tmp_path / '._b.png')
    dataset = DATASETS.build({'type': 'ImageFolder', 'data_root': str(tmp_path)})
    # '-' sorts before '/'
    assert dataset.paths == ['10.jpg', '2.JPG', 'a-b.bmp', 'a/b/c.WebP', 'a/z.jpeg', 'b.png']
    sample = dataset[3]
    assert sample['data_samples'].img_path == os.path.join(str(tmp_path), 'a', 'b', 'c.WebP')
    assert sample['data_samples'].sample_idx == 3
    assert sample['data_samples'].ori_shape == (4, 6)
    assert ImageFolder(data_root=tmp_path, extensions=['.BMP']).paths == ['a-b.bmp']


def test_bad_arguments(tmp_path):
    missing = tmp_path / 'nowhere'
    with pytest.raises(FileNotFoundError, match=r'nowhere.*does not exist.*data_root of ImageFol'):
        ImageFolder(data_root=str(missing))
    missing.write_text('')
    with pytest.raises(FileNotFoundError, match=r'nowhere.*is a file.*data_root of ImageFolder'):
        ImageFolder(data_root=str(missing))
    with pytest.raises(ValueError, match=rf'{tmp_path.name}.*data_root.*\.jpg, \.jpeg, \.png'):
        ImageFolder(data_root=str(tmp_path))
    with pytest.raises(ValueError, match="on_broken must be 'error' or 'skip', got 'ignore'"):
        ImageFolder(data_root=str(tmp_path), on_broken='ignore')


def test_broken_images_are_skipped_and_counted(tmp_path, warnings):
    save(tmp_path / '0.png', (1, 2, 3))
    (tmp_path / '1.png').write_bytes(b'')
    (tmp_path / '2.png').write_bytes(b'nonsense')
    save(tmp_path / '3.png', (4, 5, 6))
    (tmp_path / '4.png').write_bytes(b'')
    dataset = ImageFolder(data_root=str(tmp_path), on_broken='skip')
    assert dataset[1]['inputs'][:, 0, 0].tolist() == [4, 5, 6]
    assert dataset[1]['data_samples'].sample_idx == 3
    assert len(warnings) == 2  # each file once
    assert dataset[4]['inputs'][:, 0, 0].tolist() == [1, 2, 3]  # round the end
    assert len(warnings) == 3 and '4.png' in warnings[2]


def test_all_broken_is_an_error(tmp_path, warnings):
    for number in range(3):
        (tmp_path / f'{number}.png').write_bytes(b'')
    dataset = ImageFolder(data_root=str(tmp_path), on_broken='skip')
    for _ in range(2):
        with pytest.raises(BrokenImageError, match=r'none of the 3 images in .* can be read'):
            dataset[1]
    assert len(warnings) == 3

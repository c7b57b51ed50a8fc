import numpy as np
import pytest
from PIL import Image

from mmcoordgan.datasets import LabelledFolder, LoadImage, PackInputs, ResizeWithSoftLabels
from mmcoordgan.datasets.keypoint_files import read_keypoints
from mmcoordgan.registry import DATASETS

CLASSES = ['background', 'left', 'right']
MASK = np.array([[0, 1, 2], [0, 1, 255]], np.uint8)
NAN = float('nan')


@pytest.fixture
def root(tmp_path):
    """Images a.jpg, b.png and sub/c.png of 3 x 2 pixels, with masks and key points."""
    points = []
    for number, name in enumerate(['a.jpg', 'b.png', 'sub/c.png']):
        for folder in ('images', 'labels'):
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (3, 2), (number, 0, 0)).save(tmp_path / 'images' / name)
        Image.fromarray(MASK).save((tmp_path / 'labels' / name).with_suffix('.png'))
        points.append([[number, 1], [NAN, NAN]])
    names = ['sub/c.png', 'b.png', 'a.jpg']
    np.savez(tmp_path / 'points.npz', names=names, points=np.float32(points[::-1]))
    return tmp_path


def labelled(root, **settings):
    settings = dict(label_dir='labels', classes=CLASSES, ignore_index=255) | settings
    return LabelledFolder(data_root=root, **settings)


def test_images_masks_and_points(root):
    config = dict(type='LabelledFolder', data_root=str(root), keypoints='points.npz')
    masks = dict(label_dir='labels', classes=CLASSES, ignore_index=255)
    dataset = DATASETS.build({**config, **masks})
    assert dataset.names == ['a.jpg', 'b.png', 'sub/c.png']
    assert dataset.metainfo['classes'] == tuple(CLASSES)
    assert dataset.metainfo['palette'] == [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
    for index in range(3):
        sample = dataset[index]['data_samples']
        assert sample.gt_sem_seg.data[0].tolist() == MASK.tolist()
        # The centre of pixel (index, 1) of 3 x 2.
        assert sample.gt_points[0].tolist() == pytest.approx([(index + 0.5) / 3, 0.75])
        assert sample.gt_points[1].isnan().all()
        assert (sample.sample_idx, sample.ori_shape) == (index, (2, 3))
    assert DATASETS.build(config).metainfo == {'dataset_name': 'labelled_folder'}


def test_indices_choose_and_order(root):
    dataset = labelled(root, indices=[2, 0])
    assert dataset.names == ['sub/c.png', 'a.jpg']
    assert dataset.get_data_info(1)['sample_idx'] == 1
    assert labelled(root, indices=2).names == ['a.jpg', 'b.png']
    for wrong in ([0, 0], [3], [-1], 4, 0, []):
        with pytest.raises(ValueError, match=r'indices must be different positions in 0\.\.2, or'):
            labelled(root, indices=wrong)


def test_void_pixels_when_labels_are_resized(root):
    pipeline = [LoadImage(), ResizeWithSoftLabels(size=1), PackInputs()]
    mask = np.repeat(np.repeat(np.array([[1, 2], [2, 255]], np.uint8), 4, 0), 4, 1)
    Image.fromarray(mask).save(root / 'labels' / 'b.png')
    Image.new('RGB', (8, 8)).save(root / 'images' / 'b.png')
    sample = labelled(root, pipeline=pipeline)[1]['data_samples']
    assert sample.gt_soft_seg.data.ravel().tolist() == [0, 0.25, 0.5]
    assert sample.gt_sem_seg.data.ravel().tolist() == [2]
    Image.fromarray(np.where(mask == 2, 255, mask).astype(np.uint8)).save(root / 'labels/b.png')
    sample = labelled(root, pipeline=pipeline)[1]['data_samples']
    assert sample.gt_sem_seg.data.ravel().tolist() == [255]


def test_keypoints_of_a_csv(tmp_path):
    path = tmp_path / 'points.csv'
    path.write_text(
        'image,label,x,y\na.jpg,nose,1,2.5\na.jpg,chin,3,4\nb.jpg,chin,5,6\nb.jpg,ear,,\n'
    )
    points = read_keypoints(str(path))
    np.testing.assert_array_equal(points['a.jpg'], [[1, 2.5], [3, 4], [NAN, NAN]])
    np.testing.assert_array_equal(points['b.jpg'], [[NAN, NAN], [5, 6], [NAN, NAN]])
    path.write_text('x,y,image\n1,2,a\n3,4,a\n')  # without labels: counted
    np.testing.assert_array_equal(read_keypoints(str(path))['a'], [[1, 2], [3, 4]])


WRONG = {
    'a.csv': (b'image,x\na,1\n', 'first line must name the columns image, x, y'),
    'b.csv': (b'image,x,y,label\na,1,2,n\na,3,4,n\n', 'it repeats the point n of a'),
    'c.csv': (b'image,x,y\na,one,2\n', 'could not convert'),
    'd.csv': (b'image,x,y\n', 'it is empty'),
    'e.npz': (b'nonsense', 'BadZipFile'),
    'f.csv': (  # a table of 3 GB
        b'image,x,y,label\n' + b''.join(b'%d,1,1,%d\n' % (i, i) for i in range(20_000)),
        '20000 images of 20000 points each take more than',
    ),
}


@pytest.mark.parametrize('name', WRONG)
def test_wrong_keypoint_files(tmp_path, name):
    content, message = WRONG[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f'{name} holds no key points .*{message}'):
        read_keypoints(str(tmp_path / name))


def test_wrong_arrays_of_keypoints(tmp_path):
    path = tmp_path / 'a.npz'
    for names, points, message in (
        (['a'], np.zeros((1, 3)), r'points are \(1, 3\), of 1 different names'),
        (['a', 'b'], np.zeros((1, 3, 2)), r'points are \(1, 3, 2\), of 1 different'),
        (['a', 'a'], np.zeros((2, 3, 2)), r'points are \(2, 3, 2\), of 1 different'),
        (np.array(['a'], object), np.zeros((1, 3, 2)), 'Object arrays cannot be loaded'),
    ):
        np.savez(path, names=names, points=points)
        with pytest.raises(ValueError, match=message):
            read_keypoints(str(path))


def test_what_is_missing_is_named(root):
    (root / 'labels' / 'b.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'1 of 3 images have no mask in .*: b\.png\.'):
        labelled(root)
    dataset = labelled(root, allow_missing=True)
    assert 'gt_seg_map' not in dataset.get_data_info(1) and 'gt_seg_map' in dataset.get_data_info(0)
    assert 'gt_sem_seg' not in dataset[1]['data_samples']
    np.savez(root / 'points.npz', names=['a.jpg'], points=np.zeros((1, 1, 2)))
    with pytest.raises(FileNotFoundError, match=r'2 of 3 images have no key points in points\.npz'):
        LabelledFolder(data_root=root, keypoints='points.npz')
    with pytest.raises(OSError, match=r'cannot read key points .*none\.csv'):
        LabelledFolder(data_root=root, keypoints='none.csv')
    with pytest.raises(ValueError, match='label_dir needs classes'):
        LabelledFolder(data_root=root, label_dir='labels')


def test_masks_that_do_not_fit(root):
    Image.fromarray(MASK[:, :2]).save(root / 'labels' / 'a.png')
    with pytest.raises(ValueError, match=r'a\.png is 2x2 \(width x height\), .*a\.jpg is 3x2'):
        labelled(root)[0]
    with pytest.raises(ValueError, match=r'b\.png holds 255, but labels are 0\.\.2'):
        labelled(root, ignore_index=None)[1]
    with pytest.raises(ValueError, match=r'b\.png holds 2, 255, but labels are 0\.\.1 and 0'):
        labelled(root, classes=['a', 'b'], ignore_index=0)[1]
    exif = Image.Exif()
    exif[0x0112] = 6  # shown 3 x 2
    Image.new('RGB', (2, 3)).save(root / 'images' / 'b.png', exif=exif)
    assert labelled(root)[1]['inputs'].shape == (3, 2, 3)

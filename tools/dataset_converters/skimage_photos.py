"""Cut real photographs into a folder: ``python tools/dataset_converters/skimage_photos.py OUT``.

The photographs ship with scikit-image (``pip install scikit-image``; public domain or CC0, see its
``data/README.txt``): enough to try a training on real images, not enough to learn from.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

PHOTOS = ('astronaut', 'chelsea', 'coffee', 'rocket', 'retina', 'hubble_deep_field')
"""Functions of ``skimage.data`` that return photographs shipped inside the package."""


def crops(photo: np.ndarray, side: int, stride: int) -> list[np.ndarray]:
    """Square pieces (side, side, 3) of a photograph (H, W, 3), on a grid of ``stride`` pixels."""
    height, width = photo.shape[:2]
    return [
        photo[top : top + side, left : left + side]
        for top in range(0, height - side + 1, stride)
        for left in range(0, width - side + 1, stride)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description='Cut photographs of scikit-image into a folder.')
    parser.add_argument('out', type=Path, help='folder for the images')
    parser.add_argument('--side', type=int, default=256, help='height and width in pixels [256]')
    parser.add_argument('--stride', type=int, default=128, help='distance of the cuts [128]')
    parser.add_argument(
        '--enlarge',
        type=int,
        metavar='SIDE',
        help='enlarge to this height and width and save as JPEG, as large data are',
    )
    args = parser.parse_args()
    try:
        from skimage import data
    except ImportError:
        parser.error('this needs scikit-image: pip install scikit-image')
    photos = {name: getattr(data, name)() for name in PHOTOS}
    args.out.mkdir(parents=True, exist_ok=True)
    count = 0
    for name, photo in photos.items():
        for index, piece in enumerate(crops(photo, args.side, args.stride)):
            image, path = Image.fromarray(piece), args.out / f'{name}_{index:02d}'
            if args.enlarge is None:
                image.save(path.with_suffix('.png'))
            else:
                image = image.resize((args.enlarge, args.enlarge), Image.Resampling.BICUBIC)
                image.save(path.with_suffix('.jpg'), quality=95)
            count += 1
    print(f'{count} images in {args.out}')


if __name__ == '__main__':
    main()

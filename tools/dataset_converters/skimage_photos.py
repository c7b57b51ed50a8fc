"""Cut photographs of scikit-image (public domain or CC0, see its data/README.txt) into a folder.

They are enough to try a training on real images, not enough to learn from.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

from PIL import Image

PHOTOS = ('astronaut', 'chelsea', 'coffee', 'rocket', 'retina', 'hubble_deep_field')
"""Functions of ``skimage.data`` that return photographs shipped inside the package."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('out', type=Path, help='folder for the images')
    add('--side', type=int, default=256, help='height and width in pixels [256]')
    add('--stride', type=int, default=128, help='distance of the cuts [128]')
    args = parser.parse_args()
    from skimage import data

    args.out.mkdir(parents=True, exist_ok=True)
    count = 0
    for name in PHOTOS:
        photo = Image.fromarray(getattr(data, name)())
        tops, lefts = (range(0, n - args.side + 1, args.stride) for n in photo.size[::-1])
        for index, (top, left) in enumerate(itertools.product(tops, lefts)):
            piece = photo.crop((left, top, left + args.side, top + args.side))
            piece.save(args.out / f'{name}_{index:02d}.png')
            count += 1
    print(f'{count} images in {args.out}')


if __name__ == '__main__':
    main()

"""Pack the part masks of CelebAMask-HQ (370,000 PNGs) into one label PNG per image.

Writes DATA_ROOT/CelebAMask-HQ-labels-7/<number>.png, for ``CelebAMaskHQ(num_classes=7,
label_dir='CelebAMask-HQ-labels-7')``. Every file is compared with the labels painted from the masks
before it gets its name. The tool can be stopped and started again: it continues with the images
that are missing.
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
from mmengine.utils import track_iter_progress
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mmcoordgan.datasets.celebamask_hq import (
    PNG_CLASSES_KEY,
    list_numbered_images,
    paint_labels,
    read_packed_labels,
)
from mmcoordgan.datasets.label_files import default_palette
from mmcoordgan.errors import explained_errors
from mmcoordgan.io.files import atomic_file


def pack(number: int, mask_dir: str, out_dir: Path, num_classes: int) -> str:
    """Write the labels of one image; return what went wrong, or an empty string."""
    try:
        labels = paint_labels(mask_dir, number, num_classes)
        image = Image.fromarray(labels)
        image.putpalette(default_palette(num_classes).ravel().tolist())
        info = PngInfo()
        info.add_text(PNG_CLASSES_KEY, str(num_classes))
        with atomic_file(out_dir / f'{number}.png') as file:
            image.save(file, format='PNG', pnginfo=info)
            file.flush()
            if not np.array_equal(read_packed_labels(file.name, num_classes), labels):
                raise ValueError('the packed labels differ from the masks')
    except (OSError, ValueError) as error:
        return f'image {number}: {error}'
    return ''


@explained_errors('celebamask_hq.py')
def main(argv: list[str] | None = None) -> int:
    """Pack all images; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    add = parser.add_argument
    add('data_root', help='folder that holds the images and the masks')
    add('--num-classes', type=int, choices=(7, 19), default=7)
    add('--out-dir', help='default: data_root/CelebAMask-HQ-labels-<classes>')
    add('--workers', type=int, default=min(8, os.cpu_count() or 1), help='threads')
    args = parser.parse_args(argv)
    root = Path(args.data_root)
    out_dir = Path(args.out_dir or root / f'CelebAMask-HQ-labels-{args.num_classes}')
    numbers = [int(Path(name).stem) for name in list_numbered_images(root / 'CelebA-HQ-img')]
    out_dir.mkdir(parents=True, exist_ok=True)
    for unfinished in out_dir.glob('*.png.*.part'):
        unfinished.unlink()
    missing = [number for number in numbers if not (out_dir / f'{number}.png').exists()]
    print(f'{len(numbers)} images, {len(numbers) - len(missing)} packed before', flush=True)
    masks = str(root / 'CelebAMask-HQ-mask-anno')
    work = partial(pack, mask_dir=masks, out_dir=out_dir, num_classes=args.num_classes)
    with ThreadPool(args.workers) as pool:
        results = pool.imap_unordered(work, missing)
        failures = [failure for failure in track_iter_progress((results, len(missing))) if failure]
    for failure in failures[:20]:
        print(failure)
    print(f'{len(missing) - len(failures)} packed into {out_dir}, {len(failures)} failed')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())

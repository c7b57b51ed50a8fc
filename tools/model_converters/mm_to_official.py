"""Convert a checkpoint of this package into one of the reference implementation (NVlabs/CoordGAN).

``python tools/model_converters/mm_to_official.py SRC DST``
"""

from __future__ import annotations

import argparse
import sys

from mmcoordgan.apis.official_checkpoint import read_checkpoint_file, write_checkpoint_file
from mmcoordgan.apis.official_export import mm_to_official


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='mm_to_official.py',
        description='Convert a checkpoint of CoordGAN or CoordGANInversion into one of the '
        'reference implementation (NVlabs/CoordGAN). Models that it cannot express are refused.',
    )
    parser.add_argument('src', help='checkpoint of a training here, or of official_to_mm.py')
    parser.add_argument(
        'dst',
        help='checkpoint to write; the reference takes the iteration from the name: 300000.pt',
    )
    parser.add_argument(
        '--trust',
        action='store_true',
        help='read SRC even if it holds more than tensors and plain values, which may run any '
        'code that it holds: only for files of known origin',
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    try:
        source = read_checkpoint_file(args.src, trust=args.trust)
        content, notes = mm_to_official(source, args.src)
        write_checkpoint_file(content, args.dst)
    except (ValueError, OSError) as error:
        print(f'mm_to_official.py: error: {error}', file=sys.stderr)
        sys.exit(2)
    for note in notes:
        print(note)
    print(f'{args.dst}: {", ".join(content)}')


if __name__ == '__main__':
    main()

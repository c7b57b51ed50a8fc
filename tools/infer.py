"""Use a trained checkpoint on images: ``python tools/infer.py VERB CHECKPOINT ...``."""

from __future__ import annotations

import sys

from mmcoordgan.cli.infer import run

if __name__ == '__main__':
    sys.exit(run('infer.py'))

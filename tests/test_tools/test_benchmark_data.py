"""tools/analysis_tools/benchmark_data.py: both loops do the same work."""

import benchmark_data as benchmark
import numpy as np
import torch
from doc_blocks import ROOT
from mmengine.config import Config
from PIL import Image


def test_both_loops_deliver_the_same_images(tmp_path):
    """Up to flips, which both draw at random."""
    random = np.random.default_rng(0)
    for number in range(12):
        blobs = Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8))
        blobs.resize((256, 256)).save(tmp_path / f'{number}.jpg', quality=95)
    plain = benchmark.PlainFolder(str(tmp_path), 128)
    cfg = Config.fromfile(ROOT / 'configs' / 'coordgan' / 'celeba_128.py')
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset.data_root = str(tmp_path)
    batches = benchmark.our_batches(cfg)
    ours = torch.cat([next(batches) for _ in range(6)])  # every image once, shuffled
    seen = set()
    for image in ours:
        both = torch.stack([image, image.flip(-1)])
        distances = [(both - plain[i]).abs().amax((1, 2, 3)).min() for i in range(12)]
        assert min(distances) < 1e-6
        seen.add(int(np.argmin(distances)))
    assert seen == set(range(12))

# Procedural faces at 32 x 32: see it work on a laptop, without a GPU and without data.
_base_ = [
    '../_base_/models/coordgan_toy.py',
    '../_base_/datasets/toyfaces_32_train.py',
    '../_base_/datasets/swap_seeds.py',
    '../_base_/schedules/coordgan_toy.py',
    '../_base_/default_runtime.py',
]
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(interval=500, max_keep_ckpts=2),
    pictures=dict(interval=250),
)
randomness = dict(seed=0)
test_dataloader = dict(batch_size=50)
# No download: structure tensors see edges and corners, not colours.
test_evaluator = dict(perceptual=dict(type='StructureTensorLoss'))

# Aligned faces of CelebA, on a CPU: the generator. data_root is a folder of photographs.
_base_ = [
    '../_base_/models/coordgan_faces.py',
    '../_base_/datasets/celeba_64_train.py',
    '../_base_/datasets/swap_seeds.py',
    '../_base_/schedules/coordgan_faces.py',
    '../_base_/default_runtime.py',
]
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(interval=500, max_keep_ckpts=2),
    pictures=dict(interval=500),
)
randomness = dict(seed=0)
test_dataloader = dict(batch_size=50)
# No download: structure tensors see edges and corners, not colors.
test_evaluator = dict(perceptual=dict(type='StructureTensorLoss'))

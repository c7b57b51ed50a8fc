# CelebA-HQ faces at 128 x 128: the published run.
_base_ = [
    '../_base_/models/coordgan_128.py',
    '../_base_/datasets/image_folder_128.py',
    '../_base_/datasets/swap_seeds.py',
    '../_base_/schedules/coordgan_300k.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(dataset=dict(data_root='data/CelebAMask-HQ/CelebA-HQ-img'))

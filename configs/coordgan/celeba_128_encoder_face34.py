# The encoder of celeba_128_encoder.py, tested on DatasetGAN-face-34 instead of CelebA-7.
_base_ = [
    '../_base_/models/coordgan_encoder_128.py',
    '../_base_/datasets/image_folder_128.py',
    '../_base_/datasets/datasetgan_face_transfer_128.py',
    '../_base_/schedules/coordgan_encoder_600k.py',
    '../_base_/default_runtime.py',
]
model = dict(stage1_checkpoint='work_dirs/celeba_128')
train_dataloader = dict(dataset=dict(data_root='data/CelebAMask-HQ/CelebA-HQ-img'))
default_hooks = dict(pictures=dict(use_ema=False, interval=_base_.train_cfg.max_iters))

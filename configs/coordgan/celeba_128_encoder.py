# The encoder for the generator of celeba_128.py: the published second stage.
_base_ = [
    '../_base_/models/coordgan_encoder_128.py',
    '../_base_/datasets/image_folder_128.py',
    '../_base_/datasets/celebamask_hq_validation_128.py',
    '../_base_/schedules/coordgan_encoder_600k.py',
    '../_base_/default_runtime.py',
]
# A checkpoint of stage 1, or the work dir of its training.
model = dict(stage1_checkpoint='work_dirs/celeba_128')
train_dataloader = dict(dataset=dict(data_root='data/CelebAMask-HQ/CelebA-HQ-img'))
# How well labels move, while it trains; the best checkpoint is kept as best_iou_iter_*.pth.
train_cfg = dict(val_interval=10000)
default_hooks = dict(
    checkpoint=dict(save_best='iou'),
    # Samples of the frozen generator, which stay what they are: drawn at the beginning and the end.
    pictures=dict(use_ema=False, interval=_base_.train_cfg.max_iters),
)

# The encoder for the generator of toyfaces_32.py: train that first.
_base_ = [
    '../_base_/models/coordgan_encoder_toy.py',
    '../_base_/datasets/toyfaces_32_train.py',
    '../_base_/datasets/toyfaces_32_transfer.py',
    '../_base_/schedules/coordgan_encoder_toy.py',
    '../_base_/default_runtime.py',
]
# A checkpoint of stage 1, or the work dir of its training.
model = dict(stage1_checkpoint='work_dirs/toyfaces_32')
default_hooks = dict(
    logger=dict(interval=50),
    # The validation's best is kept as best_iou_iter_*.pth.
    checkpoint=dict(interval=500, max_keep_ckpts=2, save_best='iou'),
    # Samples of the frozen generator, which stay what they are: drawn at the beginning and the end.
    pictures=dict(use_ema=False, interval=_base_.train_cfg.max_iters),
)
# The same figures once more for the refined codes.
refined = dict(coords_key='refined_coords', prefix='refined', **_base_.toyfaces_transfer)
test_evaluator = [
    *_base_.test_evaluator,
    dict(type='SegTransferIoU', **refined),
    dict(type='KeypointTransferPCK', foreground_only=True, **refined),
]
randomness = dict(seed=0)

# The dense encoder for the generator of celeba_64.py: train that first. Maps and images of 64 x 64.
_base_ = [
    '../_base_/models/coordgan_encoder_faces.py',
    '../_base_/datasets/celeba_64_train.py',
    '../_base_/datasets/celebamask_hq_transfer_128.py',
    '../_base_/schedules/coordgan_encoder_faces.py',
    '../_base_/default_runtime.py',
]
# A checkpoint of stage 1, or the work dir of its training.
model = dict(stage1_checkpoint='work_dirs/celeba_64')
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(interval=500, max_keep_ckpts=2),
    # Samples of the frozen generator, which stay what they are: drawn at the beginning and the end.
    pictures=dict(use_ema=False, interval=_base_.train_cfg.max_iters),
)
# Maps have 64 x 64 pixels, labels are counted at 128 x 128.
faces_transfer = dict(num_references=5, temperature=0.01, reference_size=64)
test_evaluator = [dict(type='SegTransferIoU', label_size=128, **faces_transfer)]
custom_hooks = [dict(type='TransferVisualizationHook', max_pictures=20, **faces_transfer)]
randomness = dict(seed=0)

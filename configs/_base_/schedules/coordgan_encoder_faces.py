# An hour of one CPU core, with --amp.
_base_ = './coordgan_encoder_toy.py'
optim_wrapper = dict(encoder=dict(optimizer=dict(lr=0.003)))
train_cfg = dict(max_iters=8000)
auto_scale_lr = dict(base_batch_size=16)

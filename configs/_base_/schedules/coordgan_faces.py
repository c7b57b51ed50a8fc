# Half an hour of one CPU core.
_base_ = './coordgan_toy.py'
optim_wrapper = dict(
    generator=dict(optimizer=dict(lr=0.003)), discriminator=dict(optimizer=dict(lr=0.003))
)
train_cfg = dict(max_iters=5000)
auto_scale_lr = dict(base_batch_size=16)

# A few minutes on a laptop's CPU.
optim_wrapper = dict(
    constructor='CoordGANOptimWrapperConstructor',
    encoder=dict(optimizer=dict(type='Adam', lr=0.003, betas=(0.9, 0.99))),
)
# Along a cosine over all iterations, to a twentieth.
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=False, eta_min_ratio=0.05)]
train_cfg = dict(type='ResumableTrainLoop', max_iters=3000)
auto_scale_lr = dict(base_batch_size=8)

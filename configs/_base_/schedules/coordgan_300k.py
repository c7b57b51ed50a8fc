# The published schedule: 8 GPUs x batch 2, 300,000 iterations, Adam.
adam = dict(type='Adam', lr=0.002, betas=(0.0, 0.99))
optim_wrapper = dict(
    constructor='CoordGANOptimWrapperConstructor',
    # No path length regularization is used; the published run corrected for it all the same.
    generator=dict(optimizer=adam, regularization_interval=4),
    discriminator=dict(optimizer=adam, regularization_interval=16),
)
train_cfg = dict(type='ResumableTrainLoop', max_iters=300000)
auto_scale_lr = dict(base_batch_size=16)

# A few minutes on a laptop's CPU.
adam = dict(type='Adam', lr=0.005, betas=(0.0, 0.99))
optim_wrapper = dict(
    constructor='CoordGANOptimWrapperConstructor',
    generator=dict(
        optimizer=adam,
        # On small canvases a fast warp network shears and folds.
        paramwise_cfg=dict(custom_keys={'warp_net': dict(lr_mult=0.25)}),
    ),
    discriminator=dict(optimizer=adam, regularization_interval=16),
)
train_cfg = dict(type='ResumableTrainLoop', max_iters=3000)
auto_scale_lr = dict(base_batch_size=8)

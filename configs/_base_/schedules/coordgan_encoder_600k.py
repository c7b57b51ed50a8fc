# The published schedule of the second stage: 8 GPUs x batch 2, 600,000 iterations, Adam.
optim_wrapper = dict(
    constructor='CoordGANOptimWrapperConstructor',
    encoder=dict(
        optimizer=dict(type='Adam', lr=0.002, betas=(0.0, 0.99)),
        # The encoder has no regularizer; the published run took the generator's correction.
        regularization_interval=4,
    ),
)
train_cfg = dict(type='ResumableTrainLoop', max_iters=600000)
auto_scale_lr = dict(base_batch_size=16)

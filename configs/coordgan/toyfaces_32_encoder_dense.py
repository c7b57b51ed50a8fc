# A dense encoder for the generator of toyfaces_32.py: train that first.
_base_ = './toyfaces_32_encoder.py'
warped = dict(
    type='EquivarianceLoss',
    warps=dict(angle=14, scale=1.2, shift=0.2, stretch=0.1, bend=0.2),
)
model = dict(
    encoder=dict(
        _delete_=True,
        type='DenseEncoder',
        input_size=32,
        texture_width=64,
        channels=(32, 48, 80, 112),
    ),
    ema_decay=0.995,
    refinement=None,
    losses=dict(
        _delete_=True,
        # A warped image has the warped map: synthesized images, whose maps are known,
        warped_coords=dict(loss_weight=3.0, **warped),
        # and given ones, once the average has learned to teach.
        equivariance=dict(loss_weight=1.5, start=600, **warped),
        # The texture code.
        rec_l1=dict(type='L1Loss', loss_weight=0.25, interval=4),
        texture_w=dict(type='L1Loss', loss_weight=0.1, interval=4),
    ),
)
train_dataloader = dict(batch_size=16)
train_cfg = dict(max_iters=2000)
default_hooks = dict(pictures=dict(interval=2000))
test_evaluator = [_base_.test_evaluator[0], _base_.test_evaluator[1]]

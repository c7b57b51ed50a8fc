# A dense encoder for the frozen generator of coordgan_faces.py.
_base_ = './coordgan_faces.py'
warped = dict(
    type='EquivarianceLoss',
    warps=dict(
        angle=20,
        scale=1.25,
        shift=0.26,
        stretch=0.15,
        bend=0.25,
        control_points=(3, 5, 7, 9, 11),
    ),
    focus=0.55,
)
model = dict(
    _delete_=True,
    type='CoordGANInversion',
    # The weights serve any size: images and maps of 64 x 64.
    generator=dict(_base_.model.generator, image_size=64, base_resolution=64),
    encoder=dict(
        type='DenseEncoder',
        input_size=64,
        work_size=32,
        texture_width=96,
        channels=(32, 64, 96, 128),
    ),
    ema_decay=0.997,
    teacher_interval=5000,
    # ImageNet's features say where faces look alike.
    perceptual=dict(type='LPIPSLoss', net='squeeze', learned=False),
    losses=dict(
        # A warped image has the warped map. Maps are taught that make photographs look like their
        # mean: first from the canonical grid on, then from what the encoder has found.
        equivariance=dict(
            loss_weight=3.0,
            aligned=5000,
            mirror=True,
            views=2,
            template=dict(layers=(0, 1, 2), channels=448, image_size=192),
            **warped,
        ),
        # The texture code.
        rec_l1=dict(type='L1Loss', loss_weight=0.25, interval=16),
        texture_w=dict(type='L1Loss', loss_weight=0.1, interval=16),
    ),
    data_preprocessor=_base_.model.data_preprocessor,
)
model_wrapper_cfg = dict(_delete_=True, type='MMDistributedDataParallel', broadcast_buffers=False)

# An encoder for the frozen generator of coordgan_toy.py, small enough for a laptop's CPU.
_base_ = './coordgan_toy.py'
model = dict(
    _delete_=True,
    type='CoordGANInversion',
    generator=_base_.model.generator,
    encoder=dict(
        type='CoordGANEncoder',
        input_size=32,
        structure_width=64,
        texture_width=64,
        num_texture_codes=1,
        channels=(24, 48, 96, 128),
        structure_channels=32,
        texture_channels=(128,),
    ),
    perceptual=_base_.model.perceptual,
    losses=dict(
        rec_l1=dict(type='L1Loss', loss_weight=20.0),
        rec_perceptual=dict(type='PerceptualLoss', loss_weight=40.0),
        # Every third iteration with the weight 3 * 2 / 3.
        swap_perceptual=dict(type='PerceptualLoss', loss_weight=2 / 3, interval=3),
        structure_w=dict(type='L1Loss', loss_weight=0.5),
        texture_w=dict(type='L1Loss', loss_weight=0.5),
        coords=dict(type='L1Loss', loss_weight=20.0),
    ),
    # Predictions also come refined; steps=0 switches it off.
    refinement=dict(steps=50, lr=0.05),
    data_preprocessor=_base_.model.data_preprocessor,
)
model_wrapper_cfg = dict(_delete_=True, type='MMDistributedDataParallel', broadcast_buffers=False)

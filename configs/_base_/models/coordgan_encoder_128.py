# The published second stage: an encoder for the frozen generator of coordgan_128.py.
_base_ = './coordgan_128.py'
model = dict(
    _delete_=True,
    type='CoordGANInversion',
    generator=_base_.model.generator,
    encoder=dict(type='CoordGANEncoder'),
    perceptual=_base_.model.perceptual,
    losses=dict(
        rec_l1=dict(type='L1Loss', loss_weight=10.0),
        rec_perceptual=dict(type='PerceptualLoss', loss_weight=10.0),
        swap_perceptual=dict(type='PerceptualLoss', loss_weight=5.0),
        structure_w=dict(type='L1Loss', loss_weight=10.0),
        coords=dict(type='L1Loss', loss_weight=10.0),
    ),
    data_preprocessor=_base_.model.data_preprocessor,
)
model_wrapper_cfg = dict(_delete_=True, type='MMDistributedDataParallel', broadcast_buffers=False)

# The published CoordGAN for 128 x 128 images (CVPR 2022, arXiv:2203.16521).
model = dict(
    type='CoordGAN',
    generator=dict(type='CoordGANGenerator', image_size=128, base_resolution=128),
    discriminator=dict(type='CoordGANDiscriminator', image_size=128),
    patch_discriminator=dict(type='CoordGANPatchDiscriminator'),
    perceptual=dict(type='LPIPSLoss'),
    losses=dict(
        d_gan=dict(type='LogisticLoss', loss_weight=2.0, warmup=10000, warmup_floor=0.5),
        d_patch=dict(type='LogisticLoss', loss_weight=1.0, start=10001),
        d_r1=dict(type='R1Loss', loss_weight=5.0, interval=16),
        d_patch_r1=dict(type='R1Loss', loss_weight=0.5, interval=16, start=10001),
        g_gan=dict(type='NonsaturatingLoss', loss_weight=2.0, warmup=10000, warmup_floor=0.5),
        g_patch=dict(type='NonsaturatingLoss', loss_weight=1.0, start=10001),
        g_texture_swap=dict(type='TextureSwapLoss', loss_weight=5.0, warmup=20000),
        g_chamfer=dict(type='ChamferLoss', loss_weight=200.0),
        g_warp=dict(type='WarpLoss', loss_weight=5.0, warmup=20000, temperature=0.01),
    ),
    ema_decay=0.5 ** (32 / 10000),
    data_preprocessor=dict(type='GANDataPreprocessor'),
)
# Used with several processes only. MMEngine looks this name up without default_scope.
model_wrapper_cfg = dict(type='mmcoordgan.CoordGANDistributed')

# CoordGAN for 32 x 32 images, small enough to train on a laptop's CPU.
generator = dict(
    type='CoordGANGenerator',
    image_size=32,
    base_resolution=32,
    structure_dim=32,
    texture_dim=32,
    structure_width=64,
    texture_width=64,
    mapping_layers=3,
    mapping_lr_multiplier=0.1,
    channels=48,
    num_levels=2,
    # Without neighbours, all spatial information passes through the correspondence map.
    kernel_size=1,
    fourier_channels=48,
    fourier_scale=10.0,
    warp_channels=64,
    warp_residual=True,
    noise='zero',
)
model = dict(
    type='CoordGAN',
    generator=generator,
    discriminator=dict(
        type='CoordGANDiscriminator',
        image_size=32,
        channels=96,
        channel_base=1024,
    ),
    patch_discriminator=dict(
        type='CoordGANPatchDiscriminator',
        crop_size=8,
        num_crops=8,
        channels=64,
        channel_base=256,
        hidden=64,
    ),
    perceptual=dict(type='StructureTensorLoss'),
    losses=dict(
        d_gan=dict(type='LogisticLoss', loss_weight=2.0, warmup=300, warmup_floor=0.5),
        d_patch=dict(type='LogisticLoss', interval=4),
        d_r1=dict(type='R1Loss', loss_weight=0.05, interval=16),
        d_patch_r1=dict(type='R1Loss', loss_weight=0.5, interval=16),
        g_gan=dict(type='NonsaturatingLoss', loss_weight=2.0, warmup=300, warmup_floor=0.5),
        g_patch=dict(type='NonsaturatingLoss', interval=4),
        g_texture_swap=dict(type='TextureSwapLoss', loss_weight=2.0, warmup=300),
        g_chamfer=dict(type='ChamferLoss', loss_weight=100.0),
        g_warp=dict(
            type='WarpLoss',
            loss_weight=0.5,
            temperature=0.04,
            warmup=300,
            interval=4,
        ),
    ),
    ema_decay=0.997,
    share_fakes=True,
    data_preprocessor=dict(type='GANDataPreprocessor'),
)
# Used with several processes only. MMEngine looks this name up without default_scope.
model_wrapper_cfg = dict(type='mmcoordgan.CoordGANDistributed')

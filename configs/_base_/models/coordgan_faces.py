# CoordGAN for small photographs of faces. It trains at 32 x 32; every pixel is painted alone, so
# the weights serve any size.
generator = dict(
    type='CoordGANGenerator',
    image_size=32,
    base_resolution=32,
    structure_dim=32,
    texture_dim=64,
    structure_width=64,
    texture_width=96,
    mapping_layers=3,
    mapping_lr_multiplier=0.1,
    channels=64,
    num_levels=2,
    kernel_size=1,
    fourier_channels=64,
    fourier_scale=6.0,
    warp_channels=64,
    warp_residual=True,
    noise='zero',
)
model = dict(
    type='CoordGAN',
    generator=generator,
    discriminator=dict(
        type='CoordGANDiscriminator', image_size=32, channels=128, channel_base=1536
    ),
    perceptual=dict(type='StructureTensorLoss'),
    # Without patch terms: where no pixel sees its neighbors, they learn nothing.
    losses=dict(
        d_gan=dict(type='LogisticLoss', loss_weight=2.0, warmup=300, warmup_floor=0.5),
        d_r1=dict(type='R1Loss', loss_weight=0.1, interval=16),
        g_gan=dict(type='NonsaturatingLoss', loss_weight=2.0, warmup=300, warmup_floor=0.5),
        g_texture_swap=dict(type='TextureSwapLoss', loss_weight=3.0, warmup=300),
        g_chamfer=dict(type='ChamferLoss', loss_weight=100.0),
        g_warp=dict(type='WarpLoss', loss_weight=1.0, temperature=0.04, warmup=300, interval=4),
    ),
    # Once the canonical frame shows a face, let structure be worth learning.
    real_warps=dict(
        start=3000,
        angle=8,
        scale=1.08,
        shift=0.08,
        stretch=0.05,
        bend=0.1,
        control_points=(3, 4, 5),
    ),
    ema_decay=0.998,
    share_fakes=True,
    data_preprocessor=dict(type='GANDataPreprocessor'),
)

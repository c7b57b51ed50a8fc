# CoordGAN for small photographs of faces. It trains at 32 x 32; every pixel is painted alone, so
# the weights serve any size.
_base_ = './coordgan_toy.py'
model = dict(
    generator=dict(
        texture_dim=64,
        texture_width=96,
        channels=64,
        fourier_channels=64,
        fourier_scale=6.0,  # photographs: 10 gives noise
    ),
    discriminator=dict(channels=128, channel_base=1536),
    # Where no pixel sees its neighbors, patch terms learn nothing.
    patch_discriminator=None,
    losses=dict(
        d_patch=None,
        d_patch_r1=None,
        g_patch=None,
        d_r1=dict(loss_weight=0.1),
        g_texture_swap=dict(loss_weight=3.0),
        g_warp=dict(loss_weight=1.0),
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
)

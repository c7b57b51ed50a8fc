# CelebA-HQ faces at 512 x 512, as published: continues a trained celeba_128 with its generator and
# patch discriminator. The structure (its mapping and the warp network) is frozen, the image
# discriminator starts fresh, iterations and schedules continue from 300,000 to 600,000.
_base_ = './celeba_128.py'
image_size = 512
model = dict(
    generator=dict(image_size=image_size),
    discriminator=dict(image_size=image_size),
    pretrained_generator='work_dirs/celeba_128',  # or a checkpoint
    frozen=('structure_mapping', 'warp_net'),
)
train_pipeline = _base_.train_pipeline
train_pipeline[0]['size'] = image_size
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

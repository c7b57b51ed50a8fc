# CelebA-HQ faces at 256 x 256, from scratch: the 128 network plus one upsampling level.
_base_ = './celeba_128.py'
image_size = 256
model = dict(generator=dict(image_size=image_size), discriminator=dict(image_size=image_size))
train_pipeline = _base_.train_pipeline
train_pipeline[0]['size'] = image_size
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

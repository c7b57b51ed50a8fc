# faces_64: what publish_model.py --template makes of celeba_64_encoder.py. To test, not to train.
_base_ = './celeba_64_encoder.py'
model = dict(
    encoder=dict(type='TemplateEncoder', map_size=128, mirror=True),
    ema_decay=None,
    teacher_interval=None,
    perceptual=None,
    losses=dict(_delete_=True),
)

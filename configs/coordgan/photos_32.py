# Photographs of your own at 32 x 32, on a laptop's CPU: nothing is downloaded. The images should
# show one kind of thing, in one pose. Set train_dataloader.dataset.data_root to their folder.
_base_ = './toyfaces_32.py'
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ImageFolder',
        data_root='data/images',
        pipeline=[
            dict(type='LoadImage', size=32),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='PackInputs'),
        ],
    ),
)

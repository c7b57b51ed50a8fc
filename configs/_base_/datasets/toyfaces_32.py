# Procedural faces, built in: no download, no disk.
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='ToyFaces', size=32, length=4096, seed=1),
)

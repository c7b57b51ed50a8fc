# Procedural faces, built in: no download, no disk.
train_dataloader = dict(
    batch_size=8,
    num_workers=0,  # a cached image costs 0.15 ms, less than a worker process would
    sampler=dict(type='ResumableSampler', shuffle=True),
    dataset=dict(type='ToyFaces', size=32, length=4096, seed=1),
)

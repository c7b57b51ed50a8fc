# Disentanglement of a generator: pictures beside what an exchanged code makes of them.
test_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='SwapSeeds', length=1000, seed=0),
)
# For identity as well (pictures of faces; needs MMagic): identity=dict(type='mmagic.IDLossModel').
test_evaluator = dict(type='SwapConsistency', perceptual=dict(type='LPIPSLoss'))
test_cfg = dict(type='TestLoop')

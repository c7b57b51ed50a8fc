# What every config shares: the Runner's hooks, its log, its environment.
default_scope = 'mmcoordgan'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=100, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # MMEngine's CheckpointHook with exact resume and safe files.
    checkpoint=dict(type='CoordGANCheckpointHook', interval=10000, max_keep_ckpts=3),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    # SIGTERM and Ctrl-C: save, and end.
    interruption=dict(type='InterruptionHook'),
    pictures=dict(type='CoordGANVisualizationHook', interval=5000),
)

env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    # On a machine without a GPU, tools/train.py takes gloo instead.
    dist_cfg=dict(backend='nccl'),
)
# Every process draws its own latent codes and noise; the weights are rank 0's everywhere.
randomness = dict(seed=None, diff_rank_seed=True)

# For TensorBoard (pip install tensorboard), add dict(type='TensorboardVisBackend') to the list.
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])

log_processor = dict(type='LogProcessor', by_epoch=False, window_size=100)
log_level = 'INFO'
load_from = None
resume = False

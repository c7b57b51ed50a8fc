# Validation on CelebA-7's references and 100 other faces: the benchmark's queries stay unseen.
# Without the masks of CelebAMask-HQ: tools/train.py --no-validate.
_base_ = './celebamask_hq_transfer_128.py'
val_dataloader = dict(
    _base_.test_dataloader, dataset=dict(_base_.test_dataloader['dataset'], subset='validation')
)
val_evaluator = [dict(type='SegTransferIoU', ceiling=False, **_base_.celebamask_transfer)]
val_cfg = dict(type='ValLoop')

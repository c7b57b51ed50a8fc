# CoordGAN's benchmark DatasetGAN-car-20: 5 labelled cars, all others as queries, at 128 x 128.
_base_ = './datasetgan_face_transfer_128.py'
test_dataloader = dict(dataset=dict(subset='car-20'))
test_evaluator = [dict(type='SegTransferIoU', **_base_.datasetgan_transfer)]

# AFHQ cats at 128 x 128.
_base_ = './celeba_128.py'
train_dataloader = dict(dataset=dict(data_root='data/afhq/train/cat'))

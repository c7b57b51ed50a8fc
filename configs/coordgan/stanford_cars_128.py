# Stanford Cars training pictures at 128 x 128.
_base_ = './celeba_128.py'
train_dataloader = dict(dataset=dict(data_root='data/stanford_cars/cars_train'))

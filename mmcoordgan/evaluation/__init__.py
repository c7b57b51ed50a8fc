"""Metrics of correspondence and of disentanglement."""

from .fid import FID
from .keypoint_transfer import KeypointTransferPCK
from .seg_transfer_iou import SegTransferIoU
from .swap_consistency import SwapConsistency
from .transfer_metric import TransferMetric

__all__ = ['FID', 'KeypointTransferPCK', 'SegTransferIoU', 'SwapConsistency', 'TransferMetric']

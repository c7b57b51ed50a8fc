"""Metrics: what correspondences are worth, and how well structure and texture come apart."""

from __future__ import annotations

from .fid import FID
from .keypoint_transfer_pck import KeypointTransferPCK
from .seg_transfer_iou import SegTransferIoU
from .swap_consistency import SwapConsistency
from .transfer_metric import TransferMetric

__all__ = ['FID', 'KeypointTransferPCK', 'SegTransferIoU', 'SwapConsistency', 'TransferMetric']

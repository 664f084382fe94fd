"""Hands memory that is free, but kept by the C library's heap, back to the system. Called by training on a CPU.

A packed row frees blocks of many sizes; what the next row, or sampling, asks for does not fit into them exactly, and the
heap grows by a fifth of the peak though nothing lives longer. Trimming costs a few milliseconds beside seconds of a row.
"""

import ctypes
import sys

import torch


def trim_heap(device: torch.device) -> None:
    """Return the heap's free pages to the system; does nothing on a GPU, or where the C library cannot (macOS, musl)."""
    if device.type != "cpu" or sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

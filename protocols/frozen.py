"""Evaluation mode that can still be trained: what the released finetuning computes, on any backbone.

The releases call eval() and go on training: BatchNorm keeps its statistics, dropout is off. A cuDNN GRU refuses
a backward pass in evaluation mode, so here the layers that differ between the modes are switched, not the network.
"""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd


def train_as_evaluated(module: nn.Module) -> None:
    """Puts a network into training mode, its BatchNorm and dropout into evaluation mode; parameters stay trainable.

    Undone by module.train(). The outputs are those of evaluation mode.

    Raises:
        ValueError: for a recurrent layer with a dropout of its own, which only that layer's mode can switch off.
    """
    module.train()
    for name, child in module.named_modules():
        if isinstance(child, _BatchNorm | _DropoutNd):
            child.eval()
        elif isinstance(child, nn.RNNBase) and child.dropout:
            raise ValueError(f"{name} drops out between its layers, which cannot be frozen; build it with dropout 0")

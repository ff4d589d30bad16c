"""The recurrence of a GRU over whole sequences on a CPU: PyTorch's numbers, with the weight gradient in one product.

Why: PyTorch's CPU form adds a gradient of the size of the weights after every frame. Without that, a forward and
backward pass at the size of Table 13 took a tenth to a quarter less (`bench.py profile gru`). On other devices
nn.GRU is used as it is, in float32 however a training rounds.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from backbones.exact import unrounded


class Recurrence(torch.autograd.Function):
    """h_t = n + z (h_{t-1} - n), r and z = sigmoid, n = tanh(.. + r ..); the gates in PyTorch's order r, z, n."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)  # rounding to bfloat16 would add up over frames
    def forward(ctx: Any, gates: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """gates (T, B, 3H) of the inputs, weight (3H, H) and bias (3H,) of the states -> states (T, B, H); h_0 = 0."""
        h = gates.new_zeros(gates.shape[1], weight.shape[1])
        kept = []
        for of_input in gates:
            r_h, z_h, n_h = torch.addmm(bias, h, weight.t()).chunk(3, dim=1)
            r_x, z_x, n_x = of_input.chunk(3, dim=1)
            r, z = torch.sigmoid(r_x + r_h), torch.sigmoid(z_x + z_h)
            n = torch.tanh(n_x + r * n_h)
            kept.append((h, r, z, n, n_h))
            h = n + z * (h - n)
        before, r, z, n, n_h = (torch.stack(parts) for parts in zip(*kept, strict=True))
        ctx.save_for_backward(weight, before, r, z, n, n_h)
        return torch.cat([before[1:], h.unsqueeze(0)])

    @staticmethod
    @once_differentiable
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]  decorated, so of another type
        """From the gradient of the states to those of gates, weight and bias."""
        weight, before, r, z, n, n_h = ctx.saved_tensors
        # what one unit of dL/dh_t is in front of each gate
        to_n = (1 - z) * (1 - n * n)
        to_z = (before - n) * z * (1 - z)
        to_r = n_h * r * (1 - r)
        of_inputs, of_states = [], []
        carried = torch.zeros_like(before[0])
        for t in reversed(range(len(before))):
            dh = grads[0][t] + carried
            dn = dh * to_n[t]
            dr, dz = dn * to_r[t], dh * to_z[t]
            of_inputs.append(torch.cat([dr, dz, dn], dim=1))
            of_states.append(torch.cat([dr, dz, dn * r[t]], dim=1))
            carried = torch.addmm(dh * z[t], of_states[-1], weight)
        state_gates = torch.stack(of_states[::-1]).flatten(0, 1)
        return torch.stack(of_inputs[::-1]), state_gates.t() @ before.flatten(0, 1), state_gates.sum(dim=0)


def run_gru(gru: nn.GRU, x: Float[Tensor, "B T I"]) -> Float[Tensor, "B T H"]:
    """gru(x)[0] for a batch-first GRU without dropout: x (B, T, inputs) -> states (B, T, H) or (B, T, 2H)."""
    if not x.is_cpu or not torch.is_grad_enabled():
        with unrounded(x):  # cuDNN's would be float16 under autocast, in which most gradients of the gates are 0
            return gru(x if x.dtype == torch.float64 else x.float())[0]
    x = x.transpose(0, 1)
    for layer in range(gru.num_layers):
        outputs = []
        for ending in ("", "_reverse")[: 1 + gru.bidirectional]:
            w_x, w_h, b_x, b_h = (
                gru.get_parameter(f"{kind}_l{layer}{ending}")
                for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            gates = F.linear(x.flip(0) if ending else x, w_x, b_x)
            states = Recurrence.apply(gates, w_h, b_h)
            assert isinstance(states, Tensor)
            outputs.append(states.flip(0) if ending else states)
        x = torch.cat(outputs, dim=2)
    return x.transpose(0, 1)

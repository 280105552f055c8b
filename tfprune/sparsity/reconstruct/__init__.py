# SPDX-License-Identifier: Apache-2.0
"""Layer-wise reconstruction: weights that stay take over, as far as they can, what those that go did.

One layer at a time: its outputs on examples shall change as little as possible. All numbers come from second moments of
the layer's inputs, so the examples themselves need not be kept. `Moments` sums them up, `reconstruct` does the rest.
"""

from tfprune.sparsity.reconstruct.layer import Reconstruction, magnitude, reconstruct
from tfprune.sparsity.reconstruct.moments import Moments, Parts

__all__ = ["Moments", "Parts", "Reconstruction", "magnitude", "reconstruct"]

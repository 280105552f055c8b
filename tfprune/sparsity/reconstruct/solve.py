# SPDX-License-Identifier: Apache-2.0
"""Least squares for the weights that stay, row by row, with one factorisation for all rows that share a mask.

With second moments ``A`` of the inputs and the optimum ``u`` of a row without a mask, a row ``w`` adds the error
``(w - u) A (w - u)'``. Its minimum over rows whose removed weights ``P`` are zero is::

    w[K] = A[K, K]^-1 (A u)[K]                     # K: what stays
         = u[K] - G[K, P] G[P, P]^-1 u[P]          # G = A^-1

The second form is the update of Optimal Brain Surgeon (Hassibi and Stork, NIPS 1992) for several weights at once, as in
Optimal Brain Compression (Frantar and Alistarh, NeurIPS 2022). Both are exact; the one with the smaller system is used.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tfprune.sparsity.blocks import Mask

Floats = npt.NDArray[np.float64]


def solve_kept(moments: Floats, inverse: Floats, optimum: Floats, mask: Mask) -> Floats:
    """The best weights under a mask.

    Args:
        moments: Second moments ``A`` of the inputs, ``[columns, columns]``, symmetric and positive definite.
        inverse: Their inverse.
        optimum: The best rows without a mask, ``[rows, columns]``.
        mask: True stays, ``[rows, columns]``.

    Returns:
        ``[rows, columns]``, zero where the mask is False.
    """
    wanted = optimum @ moments
    result = np.zeros_like(optimum)
    for rows, kept in rows_by_mask(mask):
        stays, goes = np.flatnonzero(kept), np.flatnonzero(~kept)
        if not len(stays):
            continue
        if not len(goes):
            result[rows] = optimum[rows]
        elif len(stays) <= len(goes):
            found = np.linalg.solve(moments[np.ix_(stays, stays)], wanted[np.ix_(rows, stays)].T).T
            result[np.ix_(rows, stays)] = found
        else:
            share = np.linalg.solve(inverse[np.ix_(goes, goes)], optimum[np.ix_(rows, goes)].T).T
            result[np.ix_(rows, stays)] = optimum[np.ix_(rows, stays)] - share @ inverse[np.ix_(goes, stays)]
    return result


def rows_by_mask(mask: Mask) -> Iterator[tuple[npt.NDArray[np.intp], Mask]]:
    """Rows that share a mask, and that mask.

    Args:
        mask: ``[rows, columns]``.

    Yields:
        ``(rows, mask)``, every row once.
    """
    packed = np.packbits(mask, axis=1)
    _, first, place = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(place.reshape(-1), kind="stable")
    sizes = np.bincount(place.reshape(-1), minlength=len(first))
    for rows, kept in zip(np.split(order, np.cumsum(sizes)[:-1]), first, strict=True):
        yield rows, mask[kept]

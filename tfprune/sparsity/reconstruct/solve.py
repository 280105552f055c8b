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

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from tfprune.sparsity.blocks import Mask

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]


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

    def solve(rows: Places, stays: Places, goes: Places) -> None:
        if not len(goes):
            result[rows] = optimum[rows]
        elif len(stays) <= len(goes):
            found = np.linalg.solve(moments[np.ix_(stays, stays)], wanted[np.ix_(rows, stays)].T).T
            result[np.ix_(rows, stays)] = found
        else:
            share = np.linalg.solve(inverse[np.ix_(goes, goes)], optimum[np.ix_(rows, goes)].T).T
            result[np.ix_(rows, stays)] = optimum[np.ix_(rows, stays)] - share @ inverse[np.ix_(goes, stays)]

    each_mask(mask, solve)
    return result


def each_mask(mask: Mask, work: Callable[[Places, Places, Places], None]) -> None:
    """Does something for all rows that share a mask, side by side on all processors.

    Each system gets one thread of the BLAS: they are small, and its own threads would mostly wait for each other.

    Args:
        mask: ``[rows, columns]``.
        work: Takes the rows, the columns that stay and those that go; rows that keep nothing are left out.
    """
    tasks = [(rows, np.flatnonzero(kept), np.flatnonzero(~kept)) for rows, kept in rows_by_mask(mask) if kept.any()]
    if len(tasks) < 2:
        for task in tasks:
            work(*task)
        return
    threads = min(len(tasks), os.cpu_count() or 1)
    with _libraries().limit(limits=1, user_api="blas"), ThreadPoolExecutor(threads, "tfprune-solve") as pool:
        for _ in pool.map(lambda task: work(*task), tasks):
            pass


@cache
def _libraries() -> ThreadpoolController:
    """The BLAS that numpy has loaded; finding it takes a while."""
    return ThreadpoolController()


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

# SPDX-License-Identifier: Apache-2.0
"""Types of options that several scripts take, so that a wrong value is refused in words before anything is measured."""

from __future__ import annotations

import click

from tfprune.runtime.arguments import MOST_THREADS

#: A share of zeros; all of them is no layer.
SPARSITY = click.FloatRange(0, 1, max_open=True)
SECONDS = click.FloatRange(0, min_open=True)
THREADS = click.IntRange(1, MOST_THREADS)
SIZE = click.IntRange(1)
#: Also of seeds, which numpy takes from 0.
COUNT = click.IntRange(0)

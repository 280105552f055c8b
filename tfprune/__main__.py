# SPDX-License-Identifier: Apache-2.0
"""``python -m tfprune``: the command ``tfprune``."""

from tfprune.cli import main

if __name__ == "__main__":
    main()

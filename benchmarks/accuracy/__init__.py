# SPDX-License-Identifier: Apache-2.0
"""Accuracy studies: plans of trainings, run in resumable pieces, and what their table of results says."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# Networks, data and trainings are those of the examples.
sys.path.append(str(REPOSITORY / "examples"))

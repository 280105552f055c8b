# SPDX-License-Identifier: Apache-2.0
"""Runs pytest in the guest: ``guest_pytest.py PYTHON ARGUMENTS``; tests start other processes of ``PYTHON``."""

import sys

import pytest

# The guest's own is a program for another processor, which the machine cannot start.
sys.executable = sys.argv[1]
sys.exit(pytest.main(sys.argv[2:]))

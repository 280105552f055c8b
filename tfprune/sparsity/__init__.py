# SPDX-License-Identifier: Apache-2.0
"""Which weights go: patterns, their exact selection, schedules and measures. Needs numpy only."""

# SPDX-License-Identifier: Apache-2.0
"""Running converted models: the delegate for stock LiteRT, a small interpreter, the benchmark and the numpy oracle.

Nothing is re-exported here: functions are named like their modules and would hide them.
"""

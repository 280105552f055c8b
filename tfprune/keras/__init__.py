# SPDX-License-Identifier: Apache-2.0
"""Pruning while a Keras model trains. Importing this package does not import Keras; its modules do."""

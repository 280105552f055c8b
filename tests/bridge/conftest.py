# SPDX-License-Identifier: Apache-2.0
"""These tests need packages of the extra `tfmot`, which the ordinary environment has not; see `make test-elsewhere`."""

from __future__ import annotations

import importlib.util

_NEEDED = {
    "test_devices.py": "tf_keras",
    "test_tf_keras.py": "tf_keras",
    "test_tfmot.py": "tensorflow_model_optimization",
    "test_from_tfmot_docs.py": "tensorflow_model_optimization",
}

collect_ignore = [name for name, module in _NEEDED.items() if importlib.util.find_spec(module) is None]

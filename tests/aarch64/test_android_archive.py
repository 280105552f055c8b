# SPDX-License-Identifier: Apache-2.0
"""The tests of the delegate once more, with the very library that the AAR carries to arm64 phones."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.aarch64 import test_delegate
from tests.android.conftest import ARCHIVE

pytestmark = pytest.mark.aarch64

test_a_converted_model_equals_the_dense_one_on_neon = test_delegate.test_a_converted_model_equals_the_dense_one_on_neon
test_the_comparison_sees_one_changed_weight = test_delegate.test_the_comparison_sees_one_changed_weight
test_the_reference_kernel_can_be_asked_for = test_delegate.test_the_reference_kernel_can_be_asked_for
test_half_precision_is_near_single_precision = test_delegate.test_half_precision_is_near_single_precision


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """The library out of the AAR."""
    assert ARCHIVE.exists(), f"{ARCHIVE} is missing: run `make android`"
    with zipfile.ZipFile(ARCHIVE) as archive:
        return Path(archive.extract("jni/arm64-v8a/libtfprune.so", tmp_path))

# SPDX-License-Identifier: Apache-2.0
"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tfprune


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'prune_everything'"):
        _ = tfprune.prune_everything


def test_the_lazy_table_and_the_list_of_names_agree() -> None:
    assert {*tfprune._LAZY, "errors", "__version__"} == set(tfprune.__all__)
    assert set(tfprune.__all__) <= set(dir(tfprune))


WITH_KERAS = {"Pruned", "Pruner", "PruningCallback", "permute_channels", "strip", "wrap"}


@pytest.mark.parametrize("name", sorted(set(tfprune.__all__) - WITH_KERAS))
def test_every_name_loads_without_tensorflow(name: str) -> None:
    code = f"import sys, tfprune; tfprune.{name}; assert not {{'keras', 'tensorflow'}} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_import_loads_nothing_heavy() -> None:
    code = "import sys, tfprune; print({'numpy', 'ai_edge_litert', 'keras', 'tensorflow', 'click'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_mapping_has_what_it_lists() -> None:
    assert {*tfprune.mapping._LAZY} == set(tfprune.mapping.__all__) <= set(dir(tfprune.mapping))
    for name in tfprune.mapping.__all__:
        assert getattr(tfprune.mapping, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'map'"):
        _ = tfprune.mapping.map


def test_penalties_list_what_they_have() -> None:
    assert dir(tfprune.penalties) == sorted(tfprune.penalties.__all__)
    assert "PenaltyLoss" in dir(tfprune.penalties)

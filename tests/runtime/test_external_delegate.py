# SPDX-License-Identifier: Apache-2.0
"""The two functions that LiteRT's tools load by name, called as their external delegate calls them."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

import pytest

from tfprune.runtime.library import library_path

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "runtime.md").read_text()
REPORTER = ctypes.CFUNCTYPE(None, ctypes.c_char_p)
#: A null reporter is what LiteRT's external delegate passes.
NOBODY = REPORTER(0)
ALLOW_DYNAMIC_TENSORS = 1


class Delegate(ctypes.Structure):
    """``TfLiteDelegate``, as far as an external delegate's wrapper reads it."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("prepare", ctypes.c_void_p),
        ("copy_from_buffer_handle", ctypes.c_void_p),
        ("copy_to_buffer_handle", ctypes.c_void_p),
        ("free_buffer_handle", ctypes.c_void_p),
        ("flags", ctypes.c_int64),
    ]


def pairs(options: str) -> list[list[str]]:
    """What ``--external_delegate_options`` comes to: pairs at semicolons, name and value at the colon."""
    return [option.split(":") for option in options.split(";") if option.count(":") == 1]


@pytest.fixture
def library() -> Any:
    loaded = ctypes.CDLL(str(library_path()))
    create, destroy = loaded.tflite_plugin_create_delegate, loaded.tflite_plugin_destroy_delegate
    texts = ctypes.POINTER(ctypes.c_char_p)
    create.argtypes, create.restype = (texts, texts, ctypes.c_size_t, REPORTER), ctypes.POINTER(Delegate)
    destroy.argtypes, destroy.restype = (ctypes.POINTER(Delegate),), None
    return loaded


def create(library: Any, options: list[list[str]], reporter: Any = NOBODY) -> Any:
    texts = ctypes.c_char_p * len(options)
    keys, values = (texts(*(option[place].encode() for option in options)) for place in (0, 1))
    return library.tflite_plugin_create_delegate(keys, values, len(options), reporter)


def test_the_options_of_the_page_make_a_delegate(library: Any) -> None:
    (options,) = re.findall(r'--external_delegate_options="(.+?)"', PAGE)
    assert len(pairs(options)) == 2
    delegate = create(library, pairs(options))
    assert delegate
    assert delegate.contents.prepare
    # Copied by the wrapper; where the handles' functions are null, it sets none.
    assert delegate.contents.flags == ALLOW_DYNAMIC_TENSORS
    assert not delegate.contents.copy_from_buffer_handle
    assert not delegate.contents.copy_to_buffer_handle
    assert not delegate.contents.free_buffer_handle
    library.tflite_plugin_destroy_delegate(delegate)


def test_no_options_come_as_null(library: Any) -> None:
    delegate = library.tflite_plugin_create_delegate(None, None, 0, NOBODY)
    assert delegate
    library.tflite_plugin_destroy_delegate(delegate)


@pytest.mark.parametrize("options", [[["threads", "99"]], [["speed", "high"]], [["threads", "1"], ["threads", ""]]])
def test_a_refusal_is_null_and_said_once_to_who_asks(library: Any, options: list[list[str]]) -> None:
    said: list[bytes] = []
    assert not create(library, options, REPORTER(said.append))
    (sentence,) = said
    assert sentence.startswith(b"tfprune delegate: ")
    assert not create(library, options)


def test_null_may_be_destroyed(library: Any) -> None:
    library.tflite_plugin_destroy_delegate(None)

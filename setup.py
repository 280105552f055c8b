# SPDX-License-Identifier: Apache-2.0
"""The two steps of the build that ``setup.cfg`` cannot say: call Bazel for the library, and tag the wheel for it."""

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

sys.path.insert(0, str(Path(__file__).resolve().parent))
from tools.build_library import LIBRARY, build, newest_glibc  # noqa: E402


class BuildWithLibrary(build_py):
    """Builds ``libtfprune.so`` before the package's files are collected."""

    def run(self) -> None:
        """Builds the library, then does what setuptools does."""
        build()
        super().run()


class PlatformWheel(bdist_wheel):
    """A wheel for every Python 3 but one platform: the library is loaded with ``ctypes`` and uses no Python API."""

    def finalize_options(self) -> None:
        """Marks the wheel as holding compiled code."""
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self) -> tuple[str, str, str]:
        """The tag: the manylinux policy of the newest glibc symbol that the library imports."""
        machine = self.plat_name.replace("-", "_").replace(".", "_").removeprefix("linux_")
        major, minor = newest_glibc(LIBRARY)
        return "py3", "none", f"manylinux_{major}_{minor}_{machine}"


setup(cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel})

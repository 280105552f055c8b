# SPDX-License-Identifier: Apache-2.0
"""The two steps of the build that ``setup.cfg`` cannot say: call Bazel for the library, and tag the wheel for it."""

import shutil
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

sys.path.insert(0, str(Path(__file__).resolve().parent))
from tools.build_library import LIBRARY, build, newest_glibc


class BuildWithLibrary(build_py):
    """Builds ``libtfprune.so`` before the package's files are collected."""

    def run(self) -> None:
        """Builds the library, then does what setuptools does, without files left over from an earlier build."""
        build()
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


class BinaryDistribution(Distribution):
    """A distribution that goes where compiled code goes: setuptools knows nothing of Bazel's part."""

    def has_ext_modules(self) -> bool:
        """Always true."""
        return True


class PlatformWheel(bdist_wheel):
    """A wheel for every Python 3 but one platform: the library is loaded with ``ctypes`` and uses no Python API."""

    def get_tag(self) -> tuple[str, str, str]:
        """The tag: the manylinux policy of the newest glibc symbol that the library imports."""
        machine = self.plat_name.replace("-", "_").replace(".", "_").removeprefix("linux_")
        major, minor = newest_glibc(LIBRARY)
        return "py3", "none", f"manylinux_{major}_{minor}_{machine}"


setup(distclass=BinaryDistribution, cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel})

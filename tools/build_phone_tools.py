# SPDX-License-Identifier: Apache-2.0
"""Builds what ``tfprune.mapping.profiling.adb`` copies to a phone, into ``build/phone/ABI``.

Usage: build_phone_tools.py [arm64-v8a] [x86_64]

Without arguments arm64-v8a. The files for x86_64 are for tests: their program is one of Linux and not of Android.
"""

import sys

from build_library import REPOSITORY, TARGET, build_file

FOLDER = REPOSITORY / "build" / "phone"
CONFIGS = {"arm64-v8a": "android_arm64", "x86_64": None}
TARGETS = (
    TARGET,
    "//tflite_ops/benchmark:tfprune_benchmark",
    "//tflite_ops/benchmark:libtensorflowlite_jni.so",
)


#: The C++ examples, which tests run on this machine.
EXAMPLES = ("//examples/cpp:main", "//examples/cpp:compiled_model")


def main(abis: list[str]) -> None:
    """Builds the files of each ABI."""
    unknown = sorted(set(abis) - set(CONFIGS))
    if unknown:
        raise SystemExit(f"an ABI must be one of {', '.join(CONFIGS)}, got {', '.join(unknown)}")
    for abi in abis:
        for target in (*TARGETS, *EXAMPLES) if CONFIGS[abi] is None else TARGETS:
            build_file(target, FOLDER / abi / target.split(":")[1], config=CONFIGS[abi])
        print(FOLDER / abi)


if __name__ == "__main__":
    main(sys.argv[1:] or ["arm64-v8a"])

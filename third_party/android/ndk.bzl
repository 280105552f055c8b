# SPDX-License-Identifier: Apache-2.0
"""The compilers of an Android NDK, where ANDROID_NDK_HOME names one: they go before Debian's."""

load("//third_party/android:abis.bzl", "ABIS")

_API = 24

_TOOLS = {
    "ar": "llvm-ar",
    "cpp": "clang++",
    "gcc": "clang++",
    "gcov": "llvm-cov",
    "ld": "ld.lld",
    "nm": "llvm-nm",
    "objcopy": "llvm-objcopy",
    "objdump": "llvm-objdump",
    "strip": "llvm-strip",
}

_TOOLCHAIN = """
android_toolchain(
    name = "{abi}",
    compiler = "clang",
    copts = {copts},
    cpu = "{cpu}",
    include_directories = {include_directories},
    linkopts = {linkopts},
    tools = {tools},
    triple = "{target}",
)
"""

def _resource_folder(ctx, clang):
    result = ctx.execute([clang, "-print-resource-dir"])
    if result.return_code:
        fail("ANDROID_NDK_HOME: %s does not run: %s" % (clang, result.stderr))
    return result.stdout.strip()

def _toolchain(ctx, abi, binaries, resources):
    facts = ABIS[abi]

    # What c_only_shared_library links as libgcc is compiler-rt here.
    runtime = "%s/lib/linux/libclang_rt.builtins-%s-android.a" % (resources, facts.runtime)
    if not ctx.path(runtime).exists:
        fail("ANDROID_NDK_HOME: %s is missing; NDK 23 or later is needed" % runtime)
    ctx.file("%s/libgcc.a" % abi, "INPUT(%s)\n" % runtime)
    target = "--target=%s%d" % (facts.target, _API)
    return _TOOLCHAIN.format(
        abi = abi,
        # Options and attributes of GCC that Clang lacks ask for nothing that it would do otherwise.
        copts = [target, "-Wno-ignored-optimization-argument", "-Wno-unknown-attributes"] + facts.copts,
        cpu = facts.cpu,
        include_directories = [
            str(binaries.dirname.get_child("sysroot").get_child("usr").get_child("include")),
            resources + "/include",
        ],
        linkopts = [target, "-fuse-ld=lld", "-L%s" % ctx.path(abi)],
        target = facts.target,
        tools = {tool: str(binaries.get_child(name)) for tool, name in _TOOLS.items()},
    )

def _android_ndk_impl(ctx):
    lines = ["package(default_visibility = [\"//visibility:public\"])\n"]
    home = ctx.os.environ.get("ANDROID_NDK_HOME", "")
    if home:
        binaries = ctx.path(home + "/toolchains/llvm/prebuilt/linux-x86_64/bin")
        clang = binaries.get_child("clang++")
        if not clang.exists:
            fail("ANDROID_NDK_HOME must name an NDK for Linux, got %s, which has no %s; " % (home, clang) +
                 "unset it to build with Debian's compilers")
        resources = _resource_folder(ctx, clang)
        lines.insert(0, "load(\"@tfprune//third_party/android:defs.bzl\", \"android_toolchain\")\n")
        lines += [_toolchain(ctx, abi, binaries, resources) for abi in ABIS]
    ctx.file("BUILD", "".join(lines))

android_ndk = repository_rule(
    implementation = _android_ndk_impl,
    environ = ["ANDROID_NDK_HOME"],
    local = True,
    doc = "A toolchain for each ABI of an NDK, or none where ANDROID_NDK_HOME is not set.",
)

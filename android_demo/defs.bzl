# SPDX-License-Identifier: Apache-2.0
"""An Android archive: classes, and one native library compiled for each ABI."""

load("//third_party/android:abis.bzl", "ABIS")

def _each_abi_impl(_settings, _attr):
    return {abi: {"//command_line_option:platforms": "//third_party/android:" + abi} for abi in ABIS}

_each_abi = transition(
    implementation = _each_abi_impl,
    inputs = [],
    outputs = ["//command_line_option:platforms"],
)

def _android_archive_impl(ctx):
    entries = {
        "AndroidManifest.xml": ctx.file.manifest,
        "classes.jar": ctx.file.classes,
        "proguard.txt": ctx.file.consumer_rules,
    }
    for licence in ctx.files.licences:
        entries[licence.basename] = licence
    for abi, library in ctx.split_attr.library.items():
        entries["jni/%s/libtfprune.so" % abi] = library[DefaultInfo].files.to_list()[0]
    arguments = ctx.actions.args()
    arguments.add(ctx.file._make_archive)
    arguments.add(ctx.outputs.out)
    for name in sorted(entries):
        arguments.add("%s=%s" % (name, entries[name].path))
    ctx.actions.run(
        executable = "python3",
        arguments = [arguments],
        inputs = entries.values() + [ctx.file._make_archive],
        outputs = [ctx.outputs.out],
        mnemonic = "AndroidArchive",
        use_default_shell_env = True,
    )
    return [DefaultInfo(files = depset([ctx.outputs.out]))]

android_archive = rule(
    implementation = _android_archive_impl,
    attrs = {
        "classes": attr.label(allow_single_file = [".jar"], mandatory = True),
        "consumer_rules": attr.label(allow_single_file = True, mandatory = True),
        "library": attr.label(cfg = _each_abi, mandatory = True, doc = "Target with one file, libtfprune.so."),
        "licences": attr.label_list(allow_files = True),
        "manifest": attr.label(allow_single_file = [".xml"], mandatory = True),
        "out": attr.output(mandatory = True),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
        "_make_archive": attr.label(
            default = "//android_demo:make_archive.py",
            allow_single_file = True,
        ),
    },
    doc = "An AAR with the library for every ABI of third_party/android.",
)

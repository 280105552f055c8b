# SPDX-License-Identifier: Apache-2.0
"""External repositories of the build: Debian's packages, OpenCL's and TensorFlow Lite's C headers."""

_TFLITE_VERSION = "2.16.1"
_TFLITE_SHA256 = "34b065817e294e7dd3569504e8b9454938ceae453b6a459da54d5f6e45d3c94e"
_MAVEN_DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"

_DEBIAN_RULES = {
    "bazel_skylib": ("bazel-skylib", "/usr/share/bazel/tools/skylib"),
    "platforms": ("bazel-bootstrap-data", "/usr/share/bazel/platforms"),
    "rules_java": ("bazel-rules-java", "/usr/share/bazel/rules/java"),
    "rules_proto": ("bazel-rules-proto", "/usr/share/bazel/rules/proto"),
}

def _debian_tree_impl(ctx):
    if not ctx.path(ctx.attr.path).exists:
        fail("%s is missing: install the Debian package %s (`make setup` does)" % (ctx.attr.path, ctx.attr.package))
    for entry in ctx.path(ctx.attr.path).readdir():
        if not entry.basename.startswith("WORKSPACE") and (not ctx.attr.build_file or
                                                           not entry.basename.startswith("BUILD")):
            ctx.symlink(entry, entry.basename)
    ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)
    if ctx.attr.build_file:
        ctx.symlink(ctx.attr.build_file, "BUILD")

_debian_tree = repository_rule(
    implementation = _debian_tree_impl,
    attrs = {
        "build_file": attr.label(doc = "BUILD file of the repository; without it the tree's own is used."),
        "package": attr.string(mandatory = True, doc = "Debian package, for the message where the tree is missing."),
        "path": attr.string(mandatory = True, doc = "The installed tree."),
    },
    local = True,
    doc = "A source tree that a Debian package installed.",
)

def _benchmark_impl(ctx):
    header = ctx.path("/usr/include/benchmark")
    if not header.exists:
        fail("Google Benchmark is missing: install the Debian package libbenchmark-dev (`make setup` does)")
    ctx.symlink(header, "include/benchmark")
    ctx.symlink(ctx.attr.build_file, "BUILD")

_debian_benchmark = repository_rule(
    implementation = _benchmark_impl,
    attrs = {"build_file": attr.label(mandatory = True)},
    local = True,
    doc = "Google Benchmark as Debian's shared library.",
)

def debian_repositories():
    """Declares Bazel's rule sets, GoogleTest and Google Benchmark from Debian's packages."""
    for name, (package, path) in _DEBIAN_RULES.items():
        _debian_tree(name = name, package = package, path = path)
    _debian_tree(
        name = "googletest",
        package = "libgtest-dev",
        path = "/usr/src/googletest",
        build_file = Label("//third_party:googletest.BUILD"),
    )
    _debian_benchmark(
        name = "google_benchmark",
        build_file = Label("//third_party:google_benchmark.BUILD"),
    )

def _opencl_headers_impl(ctx):
    folder = ctx.path(ctx.os.environ.get("OPENCL_HEADERS", "/usr/include"))
    if not folder.get_child("CL").get_child("cl.h").exists:
        fail("%s has no CL/cl.h: install the Debian package opencl-c-headers (`make setup` does), or set " % folder +
             "OPENCL_HEADERS to a folder that holds it")
    ctx.symlink(folder.get_child("CL"), "include/CL")
    ctx.symlink(ctx.attr.build_file, "BUILD")

opencl_headers = repository_rule(
    implementation = _opencl_headers_impl,
    attrs = {"build_file": attr.label(default = Label("//third_party:opencl_headers.BUILD"))},
    environ = ["OPENCL_HEADERS"],
    local = True,
    doc = """Khronos' C headers of OpenCL, as Debian's opencl-c-headers installs them. No library: it is found at run time.

The environment variable OPENCL_HEADERS names a folder that holds `CL/cl.h` to use instead.""",
)

def _copy_from_maven(ctx, artifact, remedy = ""):
    """Lets Maven put an artifact, `group:name:version:type`, into the folder `maven`, and returns the file's URL."""
    maven = ctx.which("mvn")
    if not maven:
        fail("mvn is missing: install Maven (`make setup` does)" + remedy)
    result = ctx.execute([
        maven,
        "--batch-mode",
        "--quiet",
        "-Dmaven.wagon.http.retryHandler.count=5",
        _MAVEN_DEPENDENCY_PLUGIN + ":copy",
        "-Dartifact=" + artifact,
        "-DoutputDirectory=%s" % ctx.path("maven"),
    ], timeout = 600)
    if result.return_code:
        fail("mvn could not fetch %s:\n%s%s" % (artifact, result.stdout, result.stderr))
    _, name, version, kind = artifact.split(":")
    return "file://%s" % ctx.path("maven/%s-%s.%s" % (name, version, kind))

def _fetch_aar(ctx):
    url = _copy_from_maven(
        ctx,
        "org.tensorflow:tensorflow-lite:%s:aar" % _TFLITE_VERSION,
        ", or set TFLITE_HEADERS to a folder that holds tensorflow/lite/core/c/common.h",
    )
    for folder, output in [("headers", "include"), ("jni", "jni")]:
        ctx.download_and_extract(
            url = url,
            sha256 = _TFLITE_SHA256,
            stripPrefix = folder,
            output = output,
            type = "zip",
        )
    ctx.delete("maven")

def _tflite_headers_impl(ctx):
    given = ctx.os.environ.get("TFLITE_HEADERS", "")
    if given:
        ctx.symlink(ctx.path(given).get_child("tensorflow"), "include/tensorflow")
    else:
        _fetch_aar(ctx)
    if not ctx.path("include/tensorflow/lite/core/c/common.h").exists:
        fail("no tensorflow/lite/core/c/common.h in %s" % (given or "the TensorFlow Lite AAR"))
    ctx.symlink(ctx.attr.build_file, "BUILD")

tflite_headers = repository_rule(
    implementation = _tflite_headers_impl,
    attrs = {"build_file": attr.label(default = Label("//third_party:tflite_headers.BUILD"))},
    environ = ["TFLITE_HEADERS"],
    doc = """TensorFlow Lite's C headers, and Android's libraries of it.

They are in the official Android archive, which Maven fetches; its checksum is fixed here. The environment variable
TFLITE_HEADERS names a folder that holds `tensorflow/lite/...` to use instead, without libraries.""",
)

def _maven_jar_impl(ctx):
    url = _copy_from_maven(ctx, ctx.attr.artifact)
    if ctx.attr.artifact.endswith(":aar"):
        ctx.download(url = url, sha256 = ctx.attr.sha256, output = ctx.name + ".aar")
        ctx.download_and_extract(url = url, sha256 = ctx.attr.sha256, type = "zip")
        ctx.symlink("classes.jar", ctx.name + ".jar")
    else:
        ctx.download(url = url, sha256 = ctx.attr.sha256, output = ctx.name + ".jar")
    ctx.delete("maven")
    ctx.file("BUILD", "exports_files(glob([\"%s.*\"]))\n" % ctx.name)

_maven_jar = repository_rule(
    implementation = _maven_jar_impl,
    attrs = {
        "artifact": attr.string(mandatory = True, doc = "`group:name:version:type`, of type jar or aar."),
        "sha256": attr.string(mandatory = True),
    },
    doc = "`<name>.jar`: a jar from Maven Central, or the classes of an Android archive, which is `<name>.aar`.",
)

_JARS = {
    # The classes of Android at API level 24, the oldest that the Android library supports.
    "android_api24": (
        "org.robolectric:android-all:7.0.0_r1-robolectric-r1:jar",
        "567bfa3cd3a8c9c5ca736bd86b3f90ff4d6a7ba333b9cfea6ff7d81924f90ce9",
    ),
    "hamcrest": ("org.hamcrest:hamcrest-core:1.3:jar", "66fdef91e9739348df7a096aa384a5685f4e875584cce89386a7a47251c4d8e9"),
    "junit": ("junit:junit:4.13.2:jar", "8e495b634469d64fb8acfa3495a065cbacc8a0fff55ce1e31007be4c16dc57d3"),
    # The interface of a delegate, and the Java classes of the runtime: only the tests use the latter.
    "tflite_api": ("org.tensorflow:tensorflow-lite-api:%s:aar" % _TFLITE_VERSION, "885b95bc9e47a4aa5cf8e71523aed9b05e397cfef1ea09773f13fea8b649fcee"),
    "tflite_java": ("org.tensorflow:tensorflow-lite:%s:aar" % _TFLITE_VERSION, _TFLITE_SHA256),
}

def java_repositories():
    """Declares the jars that the Android library is compiled and tested with."""
    for name, (artifact, sha256) in _JARS.items():
        _maven_jar(name = name, artifact = artifact, sha256 = sha256)

def _jni_headers_impl(ctx):
    javac = ctx.which("javac")
    if not javac:
        fail("javac is missing: install the Debian package default-jdk-headless (`make setup` does)")
    ctx.symlink(ctx.path(javac).realpath.dirname.dirname.get_child("include"), "include")
    ctx.symlink(ctx.attr.build_file, "BUILD")

jni_headers = repository_rule(
    implementation = _jni_headers_impl,
    attrs = {"build_file": attr.label(default = Label("//third_party:jni_headers.BUILD"))},
    local = True,
    doc = "The C headers of JNI, of the installed JDK. The interface is the same in Android.",
)

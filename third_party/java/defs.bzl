# SPDX-License-Identifier: Apache-2.0
"""Java by the JDK's own javac: Bazel's java_library downloads tools that the offline build does not have."""

def java_jar(name, srcs, deps = [], **kwargs):
    """Compiles sources to `<name>.jar`, whose bytes are the same each time.

    Warnings are errors. The classes are Java 8's, which every version of Android's build tools takes.

    Args:
      name: of the jar, without the ending.
      srcs: Java files.
      deps: labels of the jars they are compiled against; none of them goes in.
      **kwargs: passed on to the genrule.
    """
    classpath = ":".join(["$(location %s)" % dep for dep in deps])
    native.genrule(
        name = name,
        srcs = srcs + deps,
        outs = [name + ".jar"],
        cmd = " && ".join([
            "work=$$(mktemp -d)",
            "javac --release 8 -g -Xlint:all,-options -Werror -encoding UTF-8 -proc:none -d $$work -cp '%s' %s" %
            (classpath, " ".join(["$(location %s)" % src for src in srcs])),
            "jar --create --no-manifest --date=1980-01-02T00:00:00Z --file $@ -C $$work .",
            "rm -r $$work",
        ]),
        **kwargs
    )

def junit_test(name, srcs, classes, deps, library, **kwargs):
    """Runs JUnit tests with a native library at hand.

    Args:
      name: of the test.
      srcs: the tests' Java files.
      classes: full names of the test classes.
      deps: labels of the jars that they need.
      library: label of the native library that they load.
      **kwargs: passed on to the sh_test.
    """
    jars = deps + ["@junit//:junit.jar", "@hamcrest//:hamcrest.jar"]
    java_jar(
        name = name + "_classes",
        testonly = True,
        srcs = srcs,
        deps = jars,
    )
    everything = jars + [name + "_classes.jar"]
    native.sh_test(
        name = name,
        srcs = ["//third_party/java:run_junit.sh"],
        args = [
            "$(location %s)" % library,
            ":".join(["$(location %s)" % jar for jar in everything]),
        ] + classes,
        data = everything + [library],
        **kwargs
    )

// SPDX-License-Identifier: Apache-2.0
#include "tflite_ops/benchmark/arguments.h"

#include <stdlib.h>
#include <string.h>

namespace tfprune {
namespace {

constexpr double kThreadsSampleSeconds = 0.05, kSampleSeconds = 0.001, kMostSeconds = 3600;

// `--name=value`: the value, or null for another name.
char* ValueOf(char* argument, const char* name) {
  const size_t length = strlen(name);
  if (strncmp(argument, name, length) != 0 || argument[length] != '=') return nullptr;
  return argument + length + 1;
}

Status ParseNumber(const char* name, const char* text, double least, double most, double* number) {
  char* end = nullptr;
  const double parsed = strtod(text, &end);
  if (end == text || *end != '\0' || !(parsed >= least && parsed <= most)) {
    return Error("%s must be a number from %g to %g, got '%.60s'", name, least, most, text);
  }
  *number = parsed;
  return {};
}

Status ParseWhole(const char* name, const char* text, double least, double most, double* number) {
  TFPRUNE_RETURN_IF_ERROR(ParseNumber(name, text, least, most, number));
  if (*number == static_cast<double>(static_cast<uint64_t>(*number))) return {};
  return Error("%s must be a whole number, got '%.60s'", name, text);
}

Status ParseMask(const char* text, uint64_t* mask) {
  char* end = nullptr;
  *mask = strtoul(text, &end, 16);
  // strtoul would also take a sign and spaces.
  const bool digit = strchr("0123456789abcdefABCDEF", text[0]) != nullptr && text[0] != '\0';
  if (digit && *end == '\0' && *mask != 0 && strlen(text) <= 16) return {};
  return Error("--cpus must be a hexadecimal mask with at least one CPU, such as f0, got '%.60s'", text);
}

Status ParseOption(char* text, Arguments* arguments) {
  char* const equals = strchr(text, '=');
  if (equals == nullptr || equals == text) return Error("--option must be KEY=VALUE, got '%.60s'", text);
  if (arguments->option_count == kMostOptions) return Error("--option: at most %zu are possible", kMostOptions);
  *equals = '\0';
  arguments->keys[arguments->option_count] = text;
  arguments->values[arguments->option_count++] = equals + 1;
  return {};
}

Status ParseFlag(char* argument, Arguments* arguments) {
  double number = 0;
  if (strcmp(argument, "--help") == 0) {
    arguments->help = true;
  } else if (strcmp(argument, "--version") == 0) {
    arguments->version = true;
  } else if (strcmp(argument, "--facts") == 0) {
    arguments->facts = true;
  } else if (char* runtime = ValueOf(argument, "--runtime")) {
    arguments->runtime = runtime;
  } else if (char* delegate = ValueOf(argument, "--delegate")) {
    arguments->delegate = delegate;
  } else if (char* option = ValueOf(argument, "--option")) {
    return ParseOption(option, arguments);
  } else if (char* cpus = ValueOf(argument, "--cpus")) {
    return ParseMask(cpus, &arguments->cpus);
  } else if (char* xnnpack = ValueOf(argument, "--xnnpack")) {
    TFPRUNE_RETURN_IF_ERROR(ParseWhole("--xnnpack", xnnpack, 0, 1, &number));
    arguments->xnnpack = number == 1;
  } else if (char* compare = ValueOf(argument, "--compare")) {
    TFPRUNE_RETURN_IF_ERROR(ParseWhole("--compare", compare, 0, 1, &number));
    arguments->compare = number == 1;
  } else if (char* threads = ValueOf(argument, "--threads")) {
    TFPRUNE_RETURN_IF_ERROR(ParseWhole("--threads", threads, 1, 1024, &number));
    arguments->threads = static_cast<int>(number);
  } else if (char* seed = ValueOf(argument, "--seed")) {
    TFPRUNE_RETURN_IF_ERROR(ParseWhole("--seed", seed, 0, 4294967295., &number));
    arguments->seed = static_cast<uint64_t>(number);
  } else if (char* seconds = ValueOf(argument, "--seconds")) {
    return ParseNumber("--seconds", seconds, 0, kMostSeconds, &arguments->seconds);
  } else if (char* sample = ValueOf(argument, "--sample")) {
    return ParseNumber("--sample", sample, 1e-9, kMostSeconds, &arguments->sample_seconds);
  } else if (char* warm_up = ValueOf(argument, "--warm_up")) {
    return ParseNumber("--warm_up", warm_up, 0, kMostSeconds, &arguments->warm_up_seconds);
  } else if (char* tolerance = ValueOf(argument, "--tolerance")) {
    return ParseNumber("--tolerance", tolerance, 0, 1, &arguments->tolerance);
  } else {
    return Error("'%.60s' is no option of this program; --help lists them", argument);
  }
  return {};
}

}  // namespace

bool Arguments::every_model() const {
  for (size_t i = 0; i < option_count; ++i) {
    if (strcmp(keys[i], "backend") == 0) return strcmp(values[i], "cpu") != 0;
  }
  return false;
}

Status ParseArguments(char** values, size_t count, Arguments* arguments) {
  for (size_t i = 0; i < count; ++i) {
    if (strncmp(values[i], "--", 2) == 0) {
      TFPRUNE_RETURN_IF_ERROR(ParseFlag(values[i], arguments));
    } else if (arguments->model_count == kMostModels) {
      return Error("at most %zu models can run in turns; give fewer", kMostModels);
    } else {
      arguments->models[arguments->model_count++] = values[i];
    }
  }
  if (arguments->help || arguments->version) return {};
  if ((arguments->model_count > 0) == arguments->facts) {
    return Error(arguments->facts ? "--facts is for no model; give one or the other"
                                  : "at least one model is needed, got none; give paths of .tflite files");
  }
  if (arguments->option_count > 0 && arguments->delegate == nullptr) {
    return Error("--option is for the delegate; give --delegate=PATH of libtfprune.so");
  }
  if (arguments->sample_seconds == 0) {
    // The first run after another model's has to wake the threads.
    arguments->sample_seconds = arguments->threads == 1 ? kSampleSeconds : kThreadsSampleSeconds;
  }
  return {};
}

}  // namespace tfprune

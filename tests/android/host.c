// SPDX-License-Identifier: Apache-2.0
// Loads a libtfprune.so, as an app's process does, and uses what needs no model: for the ABIs that no virtual machine
// here runs. Usage: host LIBRARY. Prints the version, the instruction set and a refusal.
#include <dlfcn.h>
#include <stdio.h>

static char last_error[256];

static void KeepError(const char* message) { snprintf(last_error, sizeof(last_error), "%s", message); }

static void* Find(void* library, const char* name) {
  void* const found = dlsym(library, name);
  if (found == NULL) printf("missing %s\n", name);
  return found;
}

int main(int count, char** arguments) {
  if (count != 2) return 2;
  void* const library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    printf("%s\n", dlerror());
    return 1;
  }
  typedef void* Create(const char* const*, const char* const*, size_t, void (*)(const char*));
  Create* const create = (Create*)Find(library, "tflite_plugin_create_delegate");
  void (*const destroy)(void*) = (void (*)(void*))Find(library, "tflite_plugin_destroy_delegate");
  size_t (*const describe)(void*, char*, size_t) = (size_t(*)(void*, char*, size_t))Find(library, "tfprune_describe");
  const char* (*const version)(void) = (const char* (*)(void))Find(library, "tfprune_version");
  const char* (*const arch)(void) = (const char* (*)(void))Find(library, "tfprune_detected_arch");
  if (!create || !destroy || !describe || !version || !arch) return 1;
  if (Find(library, "Java_io_tfprune_lite_Native_create") == NULL) return 1;
  const char *keys[] = {"threads", "backend"}, *values[] = {"2", "auto"};
  for (int round = 0; round < 1000; ++round) {
    void* const delegate = create(keys, values, 2, KeepError);
    if (delegate == NULL || describe(delegate, NULL, 0) != 0) {
      printf("round %d: %s\n", round, last_error);
      return 1;
    }
    destroy(delegate);
  }
  values[0] = "99";
  if (create(keys, values, 2, KeepError) != NULL) return 1;
  printf("%s\n%s\n%s\n", version(), arch(), last_error);
  return 0;
}

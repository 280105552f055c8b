// SPDX-License-Identifier: Apache-2.0
// The part of Android's C library that LiteRT's Android library imports, on top of glibc: for tests only. Most
// functions mean the same in both and are trampolines, which android_libc.py writes; here are those that differ.
// Structures of pthreads are no smaller in Android than what glibc uses of its own (64 bits), and zeros initialise them
// in both; only glibc's pthread_mutex_init writes more bytes for aarch64 than Android's type has.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OLDEST_GLIBC "GLIBC_2.2.5"
#else
#define OLDEST_GLIBC "GLIBC_2.17"
#endif

extern const char* const forwarded_names[];  // ends with a null pointer
extern void* forwarded[];

// Android's FILE, of which stdin, stdout and stderr are an array.
struct AndroidFile {
  char content[152];
};
struct AndroidFile __sF[3];

// The own names are not used here, because they would be the trampolines.
static int (*libc_vfprintf)(FILE*, const char*, va_list);
static size_t (*libc_fwrite)(const void*, size_t, size_t, FILE*);
static int (*libc_fputc)(int, FILE*);
static int (*libc_fflush)(FILE*);
static int (*libc_fileno)(FILE*);
static long (*libc_sysconf)(int);
static void* (*libc_dlopen)(const char*, int);
static void* (*libc_dlsym)(void*, const char*);
static int (*libc_dladdr)(const void*, Dl_info*);

static void* Find(void* (*find)(void*, const char*), void* const* libraries, const char* name) {
  void* found = find(libraries[0], name);
  if (found == NULL) found = find(libraries[1], name);
  if (found == NULL) {
    dprintf(2, "android_libc: glibc has no %s\n", name);
    _exit(99);
  }
  return found;
}

__attribute__((constructor)) static void FindForwarded(void) {
  void* (*open)(const char*, int) = (void* (*)(const char*, int))dlvsym(RTLD_DEFAULT, "dlopen", OLDEST_GLIBC);
  void* (*find)(void*, const char*) = (void* (*)(void*, const char*))dlvsym(RTLD_DEFAULT, "dlsym", OLDEST_GLIBC);
  void* const libraries[] = {open("libc.so.6", RTLD_NOW), open("libm.so.6", RTLD_NOW)};
  for (int i = 0; forwarded_names[i] != NULL; ++i) forwarded[i] = Find(find, libraries, forwarded_names[i]);
  *(void**)&libc_vfprintf = Find(find, libraries, "vfprintf");
  *(void**)&libc_fwrite = Find(find, libraries, "fwrite");
  *(void**)&libc_fputc = Find(find, libraries, "fputc");
  *(void**)&libc_fflush = Find(find, libraries, "fflush");
  *(void**)&libc_fileno = Find(find, libraries, "fileno");
  *(void**)&libc_sysconf = Find(find, libraries, "sysconf");
  *(void**)&libc_dladdr = Find(find, libraries, "dladdr");
  libc_dlopen = open;
  libc_dlsym = find;
}

static FILE* Stream(void* file) {
  if (file == &__sF[0]) return stdin;
  if (file == &__sF[1]) return stdout;
  return file == &__sF[2] ? stderr : (FILE*)file;
}

int vfprintf(FILE* file, const char* format, va_list arguments) {
  return libc_vfprintf(Stream(file), format, arguments);
}

int fprintf(FILE* file, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int written = libc_vfprintf(Stream(file), format, arguments);
  va_end(arguments);
  return written;
}

size_t fwrite(const void* data, size_t size, size_t count, FILE* file) {
  return libc_fwrite(data, size, count, Stream(file));
}

int fputc(int character, FILE* file) { return libc_fputc(character, Stream(file)); }

int fflush(FILE* file) { return libc_fflush(file == NULL ? NULL : Stream(file)); }

int fileno(FILE* file) { return libc_fileno(Stream(file)); }

int pthread_mutex_init(pthread_mutex_t* mutex, const pthread_mutexattr_t* attributes) {
  if (attributes != NULL) return ENOTSUP;  // LiteRT imports no function that would make any
  memset(mutex, 0, 40);
  return 0;
}

int* __errno(void) { return __errno_location(); }

// POSIX's in Android, GNU's in glibc.
extern int __xpg_strerror_r(int number, char* buffer, size_t size);
int android_strerror_r(int number, char* buffer, size_t size) { return __xpg_strerror_r(number, buffer, size); }
__asm__(".globl strerror_r\n.set strerror_r, android_strerror_r");

size_t __strlen_chk(const char* text, size_t size) {
  (void)size;
  return strlen(text);
}

// The names have other numbers.
long sysconf(int name) {
  switch (name) {
    case 39:  // _SC_PAGESIZE
    case 40:
      return libc_sysconf(_SC_PAGESIZE);
    case 96:
      return libc_sysconf(_SC_NPROCESSORS_CONF);
    case 97:
      return libc_sysconf(_SC_NPROCESSORS_ONLN);
    default:
      dprintf(2, "android_libc: sysconf(%d) is not known\n", name);
      return -1;
  }
}

void android_set_abort_message(const char* message) { dprintf(2, "%s\n", message); }

// LiteRT's Java classes use XNNPACK from some version on. No other property is set.
int __system_property_get(const char* name, char* value) {
  strcpy(value, strcmp(name, "ro.build.version.sdk") == 0 ? "24" : "");
  return (int)strlen(value);
}

// Android looks among the caller's own symbols too, even where it was loaded for itself.
void* dlsym(void* library, const char* name) {
  void* found = libc_dlsym(library, name);
  Dl_info caller;
  if (found != NULL || library != RTLD_DEFAULT || !libc_dladdr(__builtin_return_address(0), &caller)) return found;
  void* own = libc_dlopen(caller.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  return own == NULL ? NULL : libc_dlsym(own, name);
}

int __android_log_vprint(int priority, const char* tag, const char* format, va_list arguments) {
  char text[1024];
  vsnprintf(text, sizeof(text), format, arguments);
  return dprintf(2, "%d %s: %s\n", priority, tag, text);
}

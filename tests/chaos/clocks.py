"""A wall clock that can be set wrong for one process while it runs; its other clocks stay right.

faketime is no help: with a right CLOCK_MONOTONIC its time.sleep fails (EINVAL), and it bends CLOCK_BOOTTIME as well.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static volatile long *wrong_by;
__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("CHAOS_CLOCK");
    int handle = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    void *found = handle < 0 ? MAP_FAILED : mmap(0, sizeof(long), PROT_READ, MAP_SHARED, handle, 0);
    if (found != MAP_FAILED) wrong_by = found;
    if (handle >= 0) close(handle);
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    int code = syscall(SYS_clock_gettime, clock, now);
    if (!code && wrong_by && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += *wrong_by;
    return code;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now) { now->tv_sec = exact.tv_sec; now->tv_usec = exact.tv_nsec / 1000; }
    return 0;
}
time_t time(time_t *seconds) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (seconds) *seconds = exact.tv_sec;
    return exact.tv_sec;
}
"""


def build_library(folder: Path) -> Path | None:
    """Compile what stands between a process and its clock, or return None where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(SOURCE)
    words = [compiler, "-shared", "-fPIC", "-O1", "-w", "-o", str(library), str(source)]
    done = subprocess.run(words, check=False, capture_output=True)
    return library if done.returncode == 0 else None


class WrongClock:
    """The clock of the processes that get its environment."""

    def __init__(self, library: Path, file: Path) -> None:
        self._file = file
        self.environment = {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(file)}
        self.set_wrong(0)

    def set_wrong(self, seconds: int) -> None:
        """Set the clock forward by so many seconds, or back."""
        if not self._file.exists():
            self._file.write_bytes(bytes(8))
        with self._file.open("r+b", buffering=0) as file:
            file.write(struct.pack("l", seconds))

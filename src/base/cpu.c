/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the machine offers: threads and instruction sets.
 *
 * In a container the affinity mask often names every processor of the host
 * while the cgroup's quota allows the time of two. Sixty threads on two
 * processors' worth of time are throttled all together, so the quota bounds
 * the count. cgroup v2 keeps it in cpu.max ("200000 100000" or "max 100000"),
 * v1 in cpu.cfs_quota_us and cpu.cfs_period_us; any folder on the way up from
 * our own may hold the tightest one.
 */
#define _GNU_SOURCE /* sched_getaffinity and CPU_COUNT */
#include "base/cpu.h"
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 4096

static int affinity_count(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN); /* more than 1024 processors */
    return online > 0 && online < 65536 ? (int)online : 1;
}

static bool read_line(const char *path, char *line, int bytes) {
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool good = fgets(line, bytes, file) != NULL;
    fclose(file);
    return good;
}

/** Processors' worth of time that a cgroup folder allows, or infinity. */
static double folder_quota(const char *folder) {
    char path[PATH_BYTES + 32], line[128];
    long long quota = -1, period = 0;
    snprintf(path, sizeof(path), "%s/cpu.max", folder);
    if (read_line(path, line, (int)sizeof(line))) {
        if (sscanf(line, "%lld %lld", &quota, &period) != 2)
            quota = -1;
    } else {
        snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", folder);
        if (read_line(path, line, (int)sizeof(line)))
            quota = strtoll(line, NULL, 10);
        snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", folder);
        if (read_line(path, line, (int)sizeof(line)))
            period = strtoll(line, NULL, 10);
    }
    return quota > 0 && period > 0 ? (double)quota / (double)period : (double)INFINITY;
}

/** The tightest quota from `root`/`below` up to `root`. */
static double tree_quota(const char *root, const char *below) {
    char folder[PATH_BYTES];
    double tightest = (double)INFINITY;
    int length = snprintf(folder, sizeof(folder), "%s%s", root, below);
    if (length < 0 || (size_t)length >= sizeof(folder))
        return tightest;
    for (;;) {
        double quota = folder_quota(folder);
        if (quota < tightest)
            tightest = quota;
        char *slash = strrchr(folder, '/');
        if (!slash || (size_t)(slash - folder) < strlen(root))
            return tightest;
        *slash = '\0';
    }
}

/** Whether a v1 line's comma-separated controllers hold "cpu". */
static bool names_cpu(const char *controllers, size_t length) {
    while (length > 0) {
        const char *comma = memchr(controllers, ',', length);
        size_t word = comma ? (size_t)(comma - controllers) : length;
        if (word == 3 && memcmp(controllers, "cpu", 3) == 0)
            return true;
        if (!comma)
            return false;
        controllers += word + 1;
        length -= word + 1;
    }
    return false;
}

static double cgroup_quota(void) {
    double tightest = (double)INFINITY;
    char line[PATH_BYTES];
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file)
        return tightest;
    while (fgets(line, (int)sizeof(line), file)) { /* hierarchy:controllers:path */
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        controllers++;
        size_t length = (size_t)(path - controllers);
        double quota = (double)INFINITY;
        if (length == 0)
            quota = tree_quota("/sys/fs/cgroup", path + 1);
        else if (names_cpu(controllers, length))
            quota = tree_quota("/sys/fs/cgroup/cpu", path + 1);
        if (quota < tightest)
            tightest = quota;
    }
    fclose(file);
    return tightest;
}

int basin__cpu_thread_count(void) {
    int count = affinity_count();
    double quota = ceil(cgroup_quota());
    return quota < (double)count ? (int)quota : count;
}

static const char *const isa_names[BASIN__ISA_COUNT] = {"reference", "generic", "neon",
                                                        "avx2",      "avx512",  "avx512-bf16"};

const char *basin__isa_name(basin__isa isa) { return isa_names[isa]; }

bool basin__isa_supported(basin__isa isa) {
    switch (isa) {
    case BASIN__ISA_NEON:
        return BASIN_HAS_NEON;
    case BASIN__ISA_AVX2:
        return BASIN_CPU_HAS("avx2") && BASIN_CPU_HAS("fma");
    case BASIN__ISA_AVX512:
        return basin__isa_supported(BASIN__ISA_AVX2) && BASIN_CPU_HAS("avx512f") &&
               BASIN_CPU_HAS("avx512bw") && BASIN_CPU_HAS("avx512dq") && BASIN_CPU_HAS("avx512vl");
    case BASIN__ISA_AVX512_BF16:
        return basin__isa_supported(BASIN__ISA_AVX512) && BASIN_CPU_HAS("avx512bf16");
    default:
        return true;
    }
}

basin_status basin__isa_choose(const char *name, basin__isa *out) {
    if (!name)
        name = getenv("BASIN_CPU");
    bool automatic = !name || name[0] == '\0';
    for (int isa = BASIN__ISA_COUNT - 1; isa >= 0; isa--) {
        if (!automatic && strcmp(name, isa_names[isa]) != 0)
            continue;
        if (basin__isa_supported((basin__isa)isa)) {
            *out = (basin__isa)isa;
            return BASIN_OK;
        }
    }
    return BASIN_ERROR_ARGUMENT;
}

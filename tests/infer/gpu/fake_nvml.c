/* A fake of NVIDIA's libnvidia-ml for tests: one GPU in a state that the tests know, with the functions of nvml.h. */
#include <string.h>

typedef struct { int there; } *device;
typedef struct { unsigned long long total, free, used; } memory;
typedef struct { unsigned int pid; unsigned long long used; unsigned int gpu, compute; } process;
static struct { int there; } only = {1};

int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, device *found) {
    if (index) return 2; /* NVML_ERROR_INVALID_ARGUMENT */
    *found = (device)&only;
    return 0;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, device *found) {
    if (strcmp(uuid, "GPU-fake")) return 6; /* NVML_ERROR_NOT_FOUND */
    *found = (device)&only;
    return 0;
}
static int is_ours(device one) { return one && one->there ? 0 : 2; }
int nvmlDeviceGetName(device one, char *name, unsigned int length) { strncpy(name, "NVIDIA Fake", length); return is_ours(one); }
int nvmlSystemGetDriverVersion(char *version, unsigned int length) { strncpy(version, "580.1", length); return 0; }
int nvmlDeviceGetClockInfo(device one, int which, unsigned int *clock) { *clock = which == 1 ? 1755 : 1; return is_ours(one); }
int nvmlDeviceGetMaxClockInfo(device one, int which, unsigned int *clock) { *clock = which == 1 ? 1980 : 1; return is_ours(one); }
int nvmlDeviceGetTemperature(device one, int sensor, unsigned int *found) { *found = sensor ? 0 : 61; return is_ours(one); }
int nvmlDeviceGetPowerUsage(device one, unsigned int *milliwatts) { *milliwatts = 412500; return is_ours(one); }
int nvmlDeviceGetMemoryInfo(device one, memory *found) {
    found->total = 8ull << 30; found->free = 6ull << 30; found->used = 2ull << 30;
    return is_ours(one);
}
#ifdef OLD
int nvmlDeviceGetCurrentClocksThrottleReasons(device one, unsigned long long *bits) { *bits = 0x41; return is_ours(one); }
#else
int nvmlDeviceGetCurrentClocksEventReasons(device one, unsigned long long *bits) { *bits = 0x24; return is_ours(one); }
int nvmlDeviceGetComputeRunningProcesses_v3(device one, unsigned int *count, process *found) {
    if (*count < 2) { *count = 2; return 7; } /* NVML_ERROR_INSUFFICIENT_SIZE */
    process both[2] = {{17, 1ull << 30, ~0u, ~0u}, {4242, ~0ull, ~0u, ~0u}};
    memcpy(found, both, sizeof both);
    *count = 2;
    return is_ours(one);
}
#endif

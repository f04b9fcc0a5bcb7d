/* A fake of NVIDIA's libcudart for tests: its copies are the processor's, and sizes 13 and 17 are refused. */
#include <stdlib.h>
#include <string.h>

static int waits;
int cudaMemcpy(void *to, const void *of, size_t size, int kind) {
    if (kind != 4 || size == 13) return 1; /* cudaErrorInvalidValue */
    memcpy(to, of, size);
    return 0;
}
int cudaStreamSynchronize(void *stream) { waits++; return stream ? 400 : 0; } /* cudaErrorInvalidResourceHandle */
static int held;
int cudaMallocHost(void **to, size_t size) { *to = malloc(size); held++; return size == 13; }
int cudaMalloc(void **to, size_t size) { *to = malloc(size); held++; return size == 17; }
int cudaFreeHost(void *of) { free(of); held--; return 0; }
int cudaFree(void *of) { free(of); held--; return 0; }
int counted_buffers(void) { return held; }
int counted_waits(void) { return waits; }

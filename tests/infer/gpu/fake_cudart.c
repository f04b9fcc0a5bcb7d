/* A fake of NVIDIA's libcudart for tests: its copies are the processor's, and size 13 is refused. */
#include <string.h>

static int waits;
int cudaMemcpy(void *to, const void *of, size_t size, int kind) {
    if (kind != 4 || size == 13) return 1; /* cudaErrorInvalidValue */
    memcpy(to, of, size);
    return 0;
}
int cudaStreamSynchronize(void *stream) { waits++; return stream ? 400 : 0; } /* cudaErrorInvalidResourceHandle */
int counted_waits(void) { return waits; }

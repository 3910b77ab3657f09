// Twin: hardware/kernels/twins.py.

// Interpolate a ring of views along views and columns; view n lies in row n modulo the length of the ring.
extern "C" __global__ void rebin(
    float* __restrict__ parallel, const float* __restrict__ fan, const float* __restrict__ shift,
    const float* __restrict__ column, int first, int count, int width, int ring, int columns)
{
    const int j = blockIdx.x * blockDim.x + threadIdx.x;
    const int k = blockIdx.y * blockDim.y + threadIdx.y;
    if (j >= width || k >= count) return;
    const float place = fminf(fmaxf(column[j], -1.0f), (float)columns);
    const float before = floorf(place), later = floorf(shift[j]);
    const int at = (int)before;
    const int view = (((first + k + (int)later) % ring) + ring) % ring;
    float value[2];
    for (int step = 0; step < 2; ++step) {
        const float* row = fan + (size_t)((view + step) % ring) * columns;
        const float left = at >= 0 && at < columns ? row[at] : 0.0f;
        const float right = at + 1 < columns ? row[at + 1] : 0.0f;
        value[step] = left + (place - before) * (right - left);
    }
    parallel[(size_t)k * width + j] = value[0] + (shift[j] - later) * (value[1] - value[0]);
}

// Twins: hardware/kernels/twins.py. One thread owns one result, so nothing is added to by two threads: no atomics, and
// the same sum in the same order in every run.

// Smear views over an image: each pixel gathers, from each view, what lies where it projects to.
extern "C" __global__ void backproject(
    float* __restrict__ image, const float* __restrict__ views, const float* __restrict__ lines,
    int count, int columns, int height, int width)
{
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    float total = 0.0f;
    for (int n = 0; n < count; ++n) {
        const float* line = lines + 3 * n;
        const float* view = views + (size_t)n * columns;
        // one column beyond either end a view is zero; the order of the bounds sends NaN there as well
        const float place = fminf(fmaxf(line[0] + line[1] * x + line[2] * y, -1.0f), (float)columns);
        const float before = floorf(place);
        const int at = (int)before;
        const float left = at >= 0 && at < columns ? view[at] : 0.0f;
        const float right = at + 1 < columns ? view[at + 1] : 0.0f;
        total += left + (place - before) * (right - left);
    }
    image[(size_t)y * width + x] += total;
}

// Add up an image along lines: the adjoint. A column gathers the pixels that project to less than one column away. Along
// the axis on which places change faster, those are a short run in each row (or column) of the image.
extern "C" __global__ void project(
    float* __restrict__ views, const float* __restrict__ image, const float* __restrict__ lines,
    int count, int columns, int height, int width)
{
    const int column = blockIdx.x * blockDim.x + threadIdx.x;
    const int n = blockIdx.y * blockDim.y + threadIdx.y;
    if (column >= columns || n >= count) return;
    const float* line = lines + 3 * n;
    const bool along_x = fabsf(line[1]) >= fabsf(line[2]);
    const float fast = along_x ? line[1] : line[2], slow = along_x ? line[2] : line[1];
    const int length = along_x ? width : height, rows = along_x ? height : width;
    const size_t step = along_x ? 1 : width, stride = along_x ? width : 1;
    float total = 0.0f;
    for (int row = 0; row < rows; ++row) {
        const float origin = line[0] + slow * row - column;
        const float one = (-1.0f - origin) / fast, other = (1.0f - origin) / fast;
        const int begin = (int)fminf(fmaxf(ceilf(fminf(one, other)), 0.0f), (float)length);
        const int end = (int)fmaxf(fminf(floorf(fmaxf(one, other)), length - 1.0f), -1.0f);
        for (int at = begin; at <= end; ++at)
            total += fmaxf(1.0f - fabsf(origin + fast * at), 0.0f) * image[row * stride + at * step];
    }
    views[(size_t)n * columns + column] = total;
}

// Twins: hardware/kernels/twins.py. One thread owns one result: no atomics, and the same sum in every run.

// Sums of an image along rays: of each row (or column) the two pixels that the ray passes between.
extern "C" __global__ void trace(
    float* __restrict__ sums, const float* __restrict__ image, const float* __restrict__ rays,
    int views, int columns, int height, int width)
{
    const int column = blockIdx.x * blockDim.x + threadIdx.x;
    const int view = blockIdx.y * blockDim.y + threadIdx.y;
    if (column >= columns || view >= views) return;
    const float* ray = rays + 3 * ((size_t)view * columns + column);
    const bool steep = fabsf(ray[0]) >= fabsf(ray[1]);
    const float main = steep ? ray[0] : ray[1], other = steep ? ray[1] : ray[0];
    const int rows = steep ? height : width, length = steep ? width : height;
    const size_t stride = steep ? width : 1, step = steep ? 1 : width;
    float total = 0.0f;
    for (int row = 0; row < rows; ++row) {
        const float place = fminf(fmaxf((ray[2] - other * row) / main, -1.0f), (float)length);
        const float before = floorf(place);
        const int at = (int)before;
        const float low = at >= 0 && at < length ? image[row * stride + at * step] : 0.0f;
        const float high = at + 1 < length ? image[row * stride + (at + 1) * step] : 0.0f;
        total += low + (place - before) * (high - low);
    }
    sums[(size_t)view * columns + column] = total / fabsf(main);
}

// The adjoint: a pixel gathers the rays that pass it by less than one pixel. Its distance from them grows along the
// columns, so the first of them is found by halving.
extern "C" __global__ void spread(
    float* __restrict__ image, const float* __restrict__ sums, const float* __restrict__ rays,
    int views, int columns, int height, int width)
{
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    float total = 0.0f;
    for (int view = 0; view < views; ++view) {
        const float* ray = rays + 3 * (size_t)view * columns;
        int first = 0, beyond = columns;
        while (first < beyond) {
            const int middle = (first + beyond) / 2;
            const float* r = ray + 3 * middle;
            if (r[2] - x * r[0] - y * r[1] > -1.0f) beyond = middle; else first = middle + 1;
        }
        for (int column = first; column < columns; ++column) {
            const float* r = ray + 3 * column;
            const float away = r[2] - x * r[0] - y * r[1], main = fmaxf(fabsf(r[0]), fabsf(r[1]));
            if (!(away < 1.0f)) break;
            total += fmaxf(1.0f - fabsf(away) / main, 0.0f) / main * sums[(size_t)view * columns + column];
        }
    }
    image[(size_t)y * width + x] = total;
}

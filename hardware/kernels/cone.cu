// Twins: hardware/kernels/twins.py. One thread owns one voxel; neighbours in a warp are slices of one pixel, which read
// the same columns of a view.

// A view between columns and rows: columns fall to zero within one beyond the ends, rows repeat the last.
static __device__ __forceinline__ float sample(
    const float* view, float place, float row, int columns, int rows)
{
    const float before = floorf(place), held = fminf(fmaxf(row, 0.0f), (float)(rows - 1));
    const int left = (int)before, low = (int)held, high = low + 1 < rows ? low + 1 : low;
    const float part = place - before, rest = held - low;
    const float near = left >= 0 ? 1.0f - part : 0.0f, far = left + 1 < columns ? part : 0.0f;
    const float* one = view + (size_t)(left >= 0 ? left : 0) * rows;
    const float* two = view + (size_t)(left + 1 < columns ? left + 1 : columns - 1) * rows;
    const float below = near * one[low] + far * two[low], above = near * one[high] + far * two[high];
    return below + rest * (above - below);
}

// Smear the views of a circular scan over a stack of slices.
extern "C" __global__ void backproject_cone(
    float* __restrict__ stack, const float* __restrict__ views, const float* __restrict__ geometry,
    const float* __restrict__ heights, int curved, int count, int columns, int rows, int height, int width, int slices)
{
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (at >= width * slices || y >= height) return;
    const int x = at / slices;
    const float h = heights[at - x * slices];
    float total = 0.0f;
    for (int n = 0; n < count; ++n) {
        const float* g = geometry + 12 * n;
        const float depth = g[0] + g[1] * x + g[2] * y, across = g[3] + g[4] * x + g[5] * y;
        const float distance = curved ? sqrtf(depth * depth + across * across) : depth;
        const float place = g[6] + g[7] * (curved ? atan2f(across, depth) : across / depth);
        if (!(depth > 0.0f && place > -1.0f && place < columns)) continue;
        const float row = g[9] + g[10] / distance * (h - g[8]);
        total += g[11] / (distance * distance) * sample(views + (size_t)n * columns * rows, place, row, columns, rows);
    }
    stack[(size_t)y * width * slices + at] += total;
}

// W of every sighting of a point: q + m step, for all m that lie on the detector.
static __device__ __forceinline__ float weight(float q, float steep)
{
    const float w = fminf(fmaxf((1.0f - fabsf(q)) * steep, 0.0f), 1.0f);
    return w * w * (3.0f - 2.0f * w);
}

static __device__ __forceinline__ float weights(float q, float step, float steep)
{
    if (!(step > 0.0f)) return weight(q, steep);
    const int first = (int)fmaxf(ceilf((-1.0f - q) / step), -64.0f);
    const int last = (int)fminf(floorf((1.0f - q) / step), 64.0f);
    float total = 0.0f;
    for (int m = first; m <= last; ++m) total += weight(q + m * step, steep);
    return total;
}

// Smear the parallel views of a helical scan over a stack of slices.
extern "C" __global__ void backproject_helix(
    float* __restrict__ stack, const float* __restrict__ views, const float* __restrict__ geometry,
    const float* __restrict__ heights, float radius, float feed, float full, int curved,
    int count, int columns, int rows, int height, int width, int slices)
{
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (at >= width * slices || y >= height) return;
    const int x = at / slices;
    const float h = heights[at - x * slices], steep = 1.0f / (1.0f - full);
    const float middle = 0.5f * (rows - 1), half = 0.5f * rows;
    float total = 0.0f;
    for (int n = 0; n < count; ++n) {
        const float* g = geometry + 11 * n;
        const float across = g[0] + g[1] * x + g[2] * y, along = g[3] + g[4] * x + g[5] * y;
        const float place = g[6] + g[7] * across, chord = sqrtf(radius * radius - across * across);
        if (!(chord > fabsf(along) && place > -1.0f && place < columns)) continue;
        const float lag = feed * asinf(across / radius) * 0.15915494f;
        const float scale = curved ? g[10] : g[10] * radius / chord;
        const float rise = scale / (chord + along), other = scale / (chord - along);
        const float row = g[9] + rise * (h - (g[8] - lag));
        const float opposite = g[9] + other * (h - (g[8] + lag + 0.5f * feed));
        const float q = (row - middle) / half, r = (opposite - middle) / half, own = weight(q, steep);
        if (!(own > 0.0f)) continue;
        const float all = weights(q, fabsf(rise / half * feed), steep) + weights(r, fabsf(other / half * feed), steep);
        total += own / all * sample(views + (size_t)n * columns * rows, place, row, columns, rows);
    }
    stack[(size_t)y * width * slices + at] += total;
}

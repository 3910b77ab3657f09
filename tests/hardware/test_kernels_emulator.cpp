// Runs one CUDA kernel on the CPU, thread after thread, under the sanitizers of the compiler.
//
// -DKERNEL_FILE="..." is the CUDA C as it ships, -DKERNELS="KERNEL(a) KERNEL(b)" names what is in it. The name of the
// kernel is the argument of the program. Standard input: order of threads, grid x y, block x y, number of arguments
// (int32 each), then per argument a letter (p for float*, i for int, f for float), its bytes (uint64) and itself.
// Standard output: all arrays as the kernel left them. A kernel that needs threads to meet does not compile here.

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
struct Index { unsigned x, y, z; };
static Index gridDim, blockDim, blockIdx, threadIdx;

#include KERNEL_FILE

static void fail(const std::string& why) { std::fprintf(stderr, "%s\n", why.c_str()); std::exit(2); }

template <class T> T get() {
    T value;
    if (std::fread(&value, sizeof value, 1, stdin) != 1) fail("the input ends early");
    return value;
}

struct Argument {
    char letter;
    uint64_t size;
    char* bytes;  // of an own allocation, so that reading or writing beyond its ends is noticed

    Argument() : letter(get<char>()), size(get<uint64_t>()), bytes(static_cast<char*>(std::malloc(size))) {
        if (std::fread(bytes, 1, size, stdin) != size) fail("the input ends early");
    }
    void as(float*& value) const { expect('p'); value = reinterpret_cast<float*>(bytes); }
    void as(const float*& value) const { expect('p'); value = reinterpret_cast<const float*>(bytes); }
    void as(int& value) const { expect('i'); std::memcpy(&value, bytes, sizeof value); }
    void as(float& value) const { expect('f'); std::memcpy(&value, bytes, sizeof value); }
    void expect(char wanted) const {
        if (letter != wanted) fail(std::string("the kernel declares ") + wanted + " where " + letter + " was passed");
    }
    template <class T> T value() const { T result; as(result); return result; }
};

template <class... T, size_t... I>
void run(void (*kernel)(T...), const std::vector<Argument>& arguments, bool backwards, std::index_sequence<I...>) {
    if (arguments.size() != sizeof...(T)) fail("the kernel takes another number of arguments");
    const uint64_t block = blockDim.x * blockDim.y, threads = block * gridDim.x * gridDim.y;
    for (uint64_t n = 0; n < threads; ++n) {
        const uint64_t at = backwards ? threads - 1 - n : n, inside = at % block, outside = at / block;
        threadIdx = {unsigned(inside % blockDim.x), unsigned(inside / blockDim.x), 0};
        blockIdx = {unsigned(outside % gridDim.x), unsigned(outside / gridDim.x), 0};
        kernel(arguments[I].template value<T>()...);
    }
}

template <class... T> void start(void (*kernel)(T...), const std::vector<Argument>& arguments, bool backwards) {
    run(kernel, arguments, backwards, std::index_sequence_for<T...>{});
}

int main(int, char** words) {
    const bool backwards = get<int32_t>();
    for (unsigned* extent : {&gridDim.x, &gridDim.y, &blockDim.x, &blockDim.y}) *extent = get<int32_t>();
    gridDim.z = blockDim.z = 1;
    const int count = get<int32_t>();
    std::vector<Argument> arguments;
    for (int n = 0; n < count; ++n) arguments.emplace_back();
    bool known = false;
#define KERNEL(name) if (!known && words[1] == std::string(#name)) { start(name, arguments, backwards); known = true; }
    KERNELS
    if (!known) fail("no such kernel");
    for (const Argument& argument : arguments)
        if (argument.letter == 'p') std::fwrite(argument.bytes, 1, argument.size, stdout);
}

"""The loops of registration: warping, Gaussian windows, the local least squares of optical flow, likest curves.

Images are (n, y, x) float32. A displacement field u, (n, 2, y, x) float32 in pixels along x and y, says where a pixel's
tissue lies in the image: warped(r) = image(r + u(r)). Outside, an image goes on as its border is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hardware.kernels.cpu import compiled, inlined


@inlined
def _cubic(t: Any) -> Any:
    """Weights of four neighbours at a fraction between the second and the third (Keys 1981, a = -1/2)."""
    one, two, three = t, t * t, t * t * t
    half = np.float32(0.5)
    return (
        half * (-one + np.float32(2) * two - three),
        half * (np.float32(2) - np.float32(5) * two + np.float32(3) * three),
        half * (one + np.float32(4) * two - np.float32(3) * three),
        half * (three - two),
    )


@inlined
def _within(place: Any, last: Any) -> Any:
    """Return a place between 0 and ``last``; 0 if it is not a number, or memory beyond the image would be read."""
    place = place if place > np.float32(0) else np.float32(0)
    return place if place < last else last


@compiled("void(f4[:,:,::1], f4[:,:,:,::1], f4[:,:,::1])")
def warp_linear(images: Any, fields: Any, out: Any) -> None:
    """Sample images at displaced pixels, interpolated linearly."""
    count, height, width = images.shape
    for n in range(count):
        image = images[n]
        for y in range(height):
            for x in range(width):
                u = _within(np.float32(x) + fields[n, 0, y, x], np.float32(width - 1))
                v = _within(np.float32(y) + fields[n, 1, y, x], np.float32(height - 1))
                i, j = int(u), int(v)
                s, t = u - np.float32(i), v - np.float32(j)
                right, below = min(i + 1, width - 1), min(j + 1, height - 1)
                top = image[j, i] + s * (image[j, right] - image[j, i])
                low = image[below, i] + s * (image[below, right] - image[below, i])
                out[n, y, x] = top + t * (low - top)


@compiled("void(f4[:,:,::1], f4[:,:,:,::1], f4[:,:,::1])")
def warp_cubic(images: Any, fields: Any, out: Any) -> None:
    """Sample images at displaced pixels by cubic convolution (Keys, IEEE Trans ASSP 29:1153, 1981)."""
    count, height, width = images.shape
    for n in range(count):
        image = images[n]
        for y in range(height):
            for x in range(width):
                u = _within(np.float32(x) + fields[n, 0, y, x], np.float32(width - 1))
                v = _within(np.float32(y) + fields[n, 1, y, x], np.float32(height - 1))
                i, j = int(u), int(v)
                across, down = _cubic(u - np.float32(i)), _cubic(v - np.float32(j))
                total = np.float32(0)
                for b in range(4):
                    row = image[min(max(j + b - 1, 0), height - 1)]
                    line = np.float32(0)
                    for a in range(4):
                        line += across[a] * row[min(max(i + a - 1, 0), width - 1)]
                    total += down[b] * line
                out[n, y, x] = total


@compiled("void(f4[:,:,::1], f4[::1])")
def smooth(images: Any, weights: Any) -> None:
    """Convolve images in place with symmetric weights, (radius + 1,) from the centre outwards, along x and y."""
    count, height, width = images.shape
    radius = len(weights) - 1
    row = np.empty(width + 2 * radius, np.float32)
    across = np.empty((height, width), np.float32)
    for n in range(count):
        image = images[n]
        for y in range(height):
            row[radius : radius + width] = image[y]
            row[:radius] = image[y, 0]
            row[radius + width :] = image[y, width - 1]
            for x in range(width):
                across[y, x] = weights[0] * row[x + radius]
            for k in range(1, radius + 1):
                weight = weights[k]
                for x in range(width):
                    across[y, x] += weight * (row[x + radius - k] + row[x + radius + k])
        for y in range(height):
            for x in range(width):
                image[y, x] = weights[0] * across[y, x]
            for k in range(1, radius + 1):
                weight = weights[k]
                up, down = across[max(y - k, 0)], across[min(y + k, height - 1)]
                for x in range(width):
                    image[y, x] += weight * (up[x] + down[x])


@compiled("void(f4[:,:,::1], f4[:,:,::1], i8, f4[:,:,:,::1])")
def moments(warped: Any, targets: Any, block: int, out: Any) -> None:
    """Average over blocks of pixels what `step` needs of the mean image m, its gradient (g, h) and the difference d.

    In order: gg, gh, hh, gd, hd, m, mm, g, h, gm, hm, d, dm.
    """
    count, height, width = warped.shape
    half, quarter = np.float32(0.5), np.float32(0.25)
    out[:] = 0
    for n in range(count):
        one, two = warped[n], targets[n]
        for y in range(height):
            up, down, row = max(y - 1, 0), min(y + 1, height - 1), y // block
            rows = min(block, height - row * block)
            for x in range(width):
                left, right, column = max(x - 1, 0), min(x + 1, width - 1), x // block
                share = np.float32(1) / np.float32(rows * min(block, width - column * block))
                g = quarter * (one[y, right] - one[y, left] + two[y, right] - two[y, left])
                h = quarter * (one[down, x] - one[up, x] + two[down, x] - two[up, x])
                m, d = half * (one[y, x] + two[y, x]), two[y, x] - one[y, x]
                out[0, n, row, column] += share * g * g
                out[1, n, row, column] += share * g * h
                out[2, n, row, column] += share * h * h
                out[3, n, row, column] += share * g * d
                out[4, n, row, column] += share * h * d
                out[5, n, row, column] += share * m
                out[6, n, row, column] += share * m * m
                out[7, n, row, column] += share * g
                out[8, n, row, column] += share * h
                out[9, n, row, column] += share * g * m
                out[10, n, row, column] += share * h * m
                out[11, n, row, column] += share * d
                out[12, n, row, column] += share * d * m


@compiled("void(f4[:,:,:,::1], f4, f4, f4, f4[:,:,:,::1])")
def step(windowed: Any, flat: Any, ridge: Any, longest: Any, fields: Any) -> None:
    """Add to fields, in pixels of the images, what explains the difference best, no longer than ``longest``.

    The difference of an image from its target is displacement along the gradient, and a gain and an offset of the
    brightness: d = u g + v h + a m + o, by least squares over each window, a and o eliminated first.

    Parameters
    ----------
    windowed
        (13, n, y, x), see `moments`.
    flat
        Variance of the brightness below which a window has no gain.
    ridge
        Squared gradient below which nothing moves.
    """
    _, count, height, width = windowed.shape
    for n in range(count):
        for y in range(height):
            for x in range(width):
                w = windowed[:, n, y, x]
                m, g, h, d = w[5], w[7], w[8], w[11]
                scale = np.float32(1) / (w[6] - m * m + flat)
                gm, hm, dm = w[9] - g * m, w[10] - h * m, w[12] - d * m
                a = w[0] - g * g - gm * gm * scale + ridge
                b = w[1] - g * h - gm * hm * scale
                c = w[2] - h * h - hm * hm * scale + ridge
                p = w[3] - g * d - gm * dm * scale
                q = w[4] - h * d - hm * dm * scale
                scale = np.float32(1) / (a * c - b * b)
                u, v = (c * p - b * q) * scale, (a * q - b * p) * scale
                shorten = min(np.float32(1), longest / np.sqrt(u * u + v * v + np.float32(1e-12)))
                fields[n, 0, y, x] += shorten * u
                fields[n, 1, y, x] += shorten * v


@compiled("void(f4[:,:,::1], f4[:,::1], f4[:,:,::1], f4[:,::1])")
def match(images: Any, templates: Any, synthetic: Any, misfit: Any) -> None:
    """Replace each pixel's series by its likest template, (templates, n) of norm 1, and say what is left, squared."""
    count, height, width = images.shape
    best, chosen, score = np.empty(width, np.float32), np.empty(width, np.int64), np.empty(width, np.float32)
    for y in range(height):
        best[:], chosen[:] = -1.0, 0  # a pixel that is no number is like no template
        for g in range(len(templates)):
            score[:] = 0.0
            for n in range(count):
                weight, row = templates[g, n], images[n, y]
                for x in range(width):
                    score[x] += weight * row[x]
            for x in range(width):
                better = score[x] > best[x]
                best[x] = score[x] if better else best[x]
                chosen[x] = g if better else chosen[x]
        for x in range(width):
            left = np.float32(0)
            for n in range(count):
                value = best[x] * templates[chosen[x], n]
                synthetic[n, y, x] = value
                left += (images[n, y, x] - value) ** 2
            misfit[y, x] = left

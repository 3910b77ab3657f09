"""What one residual says of motion: the compiled heart of `qc.lines`.

A line L was measured, E was expected of it from others. The residual r = L - E is weighed twice.

*Its power.* Noise and model error alone make n + b P, a displacement by d makes that and (2 pi d k)^2 P, where P is the
power of the line without its noise, b the error of the weights, and k the spatial frequency along the displacement in
cycles per pixel.

*Its shape.* A small displacement (dx, dy) and rotation theta make of E, an image along x at the frequency ky,

    r = 2 pi ky (dy + theta x) i E + dx dE/dx,

three real numbers for thousands of samples, so that motion is seen far below the noise of a sample. The three products
of r with those shapes are normal with the covariance V of noise and model error, to which a displacement of unknown
direction adds A S A: A is the Gram matrix of the shapes without their noise, S the variance of the three numbers.

Both give the logarithm of the likelihood of motion over that of rest, for a small and for a large displacement; the
larger one counts. A block of columns that alone speaks for motion is not heard: what happens there only, such as a
vessel that pulsates, is no motion of the head.

Sources: Basseville and Nikiforov, "Detection of Abrupt Changes" (1993), section 2.4, for tests against an unknown
magnitude; the shapes are the first-order terms of the Fourier shift and rotation theorems.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hardware.kernels.cpu import compiled

Complex = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float64]
Planes = npt.NDArray[np.float32]

BLOCKS = 16
"""Columns are divided into so many blocks."""
NOISE_POWER = 2.0
"""Of a whitened complex sample."""

_ALONG_X = 0.05  # root mean square |kx| of a head's lines in cycles per pixel
_SMALL, _LARGE = 0.3, 1.0  # displacements in pixels that likelihoods are computed for
_AIR = 2  # blocks of air, at least, that tell how loud the noise is
_LOUDER = 1.3  # times the expected noise in blocks of air: less is chance
_PHASE = 0.05  # rad by which lines differ without motion: the field drifts, the signal is unsteady
_SHIFT = 0.02  # pixels of shift along x, the same
_WEAKEST, _STRONGEST = 0.6, 1.6  # factors between line and expectation that are no motion but a change of the signal
_ALONE = 3.0  # is the most that one block may say for motion
_UNSURE = 0.03  # is the noise power known to, from some ten thousand samples and through weights
_THROUGH = 2.0  # log of the odds against a motion through the plane, which has no shape of its own
_UNSURE_ANEW = 0.1  # the same where it had to be estimated from few samples, since it rose
_CONCENTRATED = 0.5  # of the excess
_TURNED = 3.0  # a third of the travel of the head's edge comes from turning, in square


@compiled("float32[:,:,::1](complex64[:,:,::1], int64[::1], boolean, complex64[:,:,::1])")
def expect(store: Complex, sources: npt.NDArray[np.int64], conjugate: bool, weights: Complex) -> Planes:
    """Return what is expected of a line from others, real and imaginary part apart: (2, coils, x).

    Parameters
    ----------
    store
        (lines, coils, x) whitened.
    sources
        Indices of the lines it is expected from.
    conjugate
        Whether their conjugate is meant.
    weights
        (blocks, coils, lines of sources * coils).
    """
    coils, x = store.shape[1:]
    width = x // BLOCKS
    sign = np.float32(-1.0 if conjugate else 1.0)
    real = np.empty((len(sources) * coils, x), np.float32)
    imaginary = np.empty((len(sources) * coils, x), np.float32)
    for number in range(len(sources)):
        for coil in range(coils):
            row, line = number * coils + coil, store[sources[number], coil]
            for i in range(x):
                real[row, i] = line[i].real
                imaginary[row, i] = sign * line[i].imag
    expected = np.zeros((2, coils, x), np.float32)
    for block in range(BLOCKS):
        first, last = block * width, (block + 1) * width
        for coil in range(coils):
            for row in range(len(real)):
                a, b = weights[block, coil, row].real, weights[block, coil, row].imag
                for i in range(first, last):
                    expected[0, coil, i] += a * real[row, i] - b * imaginary[row, i]
                    expected[1, coil, i] += a * imaginary[row, i] + b * real[row, i]
    return expected


@compiled("float64(float64[:,::1], float64[::1])")
def _log_density(covariance: Real, b: Real) -> float:
    """Return twice the logarithm of the normal density of three numbers; destroys the covariance."""
    c = covariance
    total, product = 0.0, 1.0
    y = np.empty(3)
    for i in range(3):
        value = b[i]
        for j in range(i):
            value -= c[i, j] * y[j]
        pivot = c[i, i]
        for j in range(i):
            pivot -= c[i, j] * c[i, j]
        pivot = math.sqrt(max(pivot, 1e-12))
        for k in range(i + 1, 3):
            off = c[k, i]
            for j in range(i):
                off -= c[k, j] * c[i, j]
            c[k, i] = off / pivot
        c[i, i] = pivot
        y[i] = value / pivot
        total += y[i] * y[i]
        product *= pivot
    return -total - 2 * math.log(product)


@compiled("float64(float64[:,::1], float64[:,::1], float64[::1], float64[::1], float64[::1])")
def _shape_ratio(noisy: Real, gram: Real, b: Real, rest: Real, motion: Real) -> float:
    """Return the log likelihood ratio of the three products ``b``: variances ``motion`` against ``rest``.

    ``noisy`` is the covariance that noise gives them, ``gram`` the Gram matrix of the shapes.
    """
    with_rest, with_motion = np.empty((3, 3)), np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            one, other = 0.0, 0.0
            for k in range(3):
                both = gram[i, k] * gram[j, k]
                one += both * rest[k]
                other += both * motion[k]
            with_rest[i, j] = noisy[i, j] + one
            with_motion[i, j] = noisy[i, j] + one + other
    return 0.5 * (_log_density(with_motion, b) - _log_density(with_rest, b))


@compiled("boolean(float32[::1], float64[::1], float64)")
def _one_frequency(residual: Planes, floor: Real, louder: float) -> bool:
    """Whether three columns side by side hold most of what the residual has beyond its noise: a transmitter does that.

    ``residual`` is the power in each column, ``floor`` that of the noise in each block.
    """
    x = len(residual)
    total, largest, before, latest = 0.0, 0.0, 0.0, 0.0
    for i in range(x):
        own = residual[i] - louder * floor[i * BLOCKS // x] * BLOCKS / x
        total += own
        largest = max(largest, before + latest + own)
        before, latest = latest, own
    return largest > _CONCENTRATED * total > 0


@compiled("float32[:,::1](complex64[:,::1], float32[:,:,::1])")
def _agreement(line: Complex, expected: Planes) -> Planes:
    """Return of each column what line and expectation have in common, Re <E, L>, and the energy of E; (2, x)."""
    coils, x = line.shape
    found = np.zeros((2, x), np.float32)
    for coil in range(coils):
        for i in range(x):
            a, b = expected[0, coil, i], expected[1, coil, i]
            found[0, i] += a * line[coil, i].real + b * line[coil, i].imag
            found[1, i] += a * a + b * b
    return found


@compiled("float32[:,::1](complex64[:,::1], float32[:,:,::1], float64)")
def _difference(line: Complex, expected: Planes, scale: float) -> Planes:
    """Return of each column, with r = L - scale E: |r|^2, <iE, r>, <E', r>, |E'|^2 and <iE, E'>; (5, x)."""
    coils, x = line.shape
    found = np.zeros((5, x), np.float32)
    real, imaginary = np.empty(x, np.float32), np.empty(x, np.float32)
    s, half = np.float32(scale), np.float32(0.5)
    for coil in range(coils):
        er, ei = expected[0, coil], expected[1, coil]
        for i in range(x):
            real[i], imaginary[i] = line[coil, i].real - s * er[i], line[coil, i].imag - s * ei[i]
        for i in range(x):
            found[0, i] += real[i] * real[i] + imaginary[i] * imaginary[i]
            found[1, i] += er[i] * imaginary[i] - ei[i] * real[i]
        for i in range(1, x - 1):
            dr, di = half * (er[i + 1] - er[i - 1]), half * (ei[i + 1] - ei[i - 1])
            found[2, i] += dr * real[i] + di * imaginary[i]
            found[3, i] += dr * dr + di * di
            found[4, i] += er[i] * di - ei[i] * dr
    return found


@compiled("float64[::1](float32[::1])")
def _in_blocks(columns: Planes) -> Real:
    """Return sums over the columns of each block."""
    width = len(columns) // BLOCKS
    found = np.zeros(BLOCKS)
    for block in range(BLOCKS):
        for i in range(block * width, (block + 1) * width):
            found[block] += columns[i]
    return found


@compiled("float64(float64, float64, float64)")
def _scale(common: float, energy: float, noise: float) -> float:
    """Return the factor between the two: a signal that fades or rises as a whole is no motion.

    ``noise`` is the part of the expectation's ``energy`` that is noise; where it hides signal, it hides the factor too.
    """
    return min(max(common / (energy - noise), _WEAKEST), _STRONGEST) if energy > 2 * noise else 1.0


@compiled("float64(float64[::1], float64[::1], boolean[::1])")
def _louder(residual: Real, floor: Real, air: npt.NDArray[np.bool_]) -> float:
    """Return how much louder than expected the noise is where there is no object."""
    heard, expected, count = 0.0, 0.0, 0
    for block in range(BLOCKS):
        if air[block]:
            heard, expected, count = heard + residual[block], expected + floor[block], count + 1
    return heard / expected if count >= _AIR and heard > _LOUDER * expected else 1.0


@compiled("float64(float64[:,:,::1], float64[:,:,::1], float64[:,::1], float64[::1], float64[::1])")
def _in_shape(noisy: Real, gram: Real, b: Real, rest: Real, motion: Real) -> float:
    """Return what the shape of the residual says, of which one block alone says little."""
    whole_noisy, whole_gram, whole_b = noisy.sum(axis=0), gram.sum(axis=0), b.sum(axis=0)
    without = 1e300
    for block in range(BLOCKS):
        one = _shape_ratio(whole_noisy - noisy[block], whole_gram - gram[block], whole_b - b[block], rest, motion)
        without = min(without, one)
    return min(_shape_ratio(whole_noisy, whole_gram, whole_b, rest, motion), without + _ALONE)


@compiled("float64(float64[::1], float64[::1], float64[::1], float64[::1], float64, float64)")
def _in_power(residual: Real, still: Real, power: Real, freedom: Real, grows: float, doubt: float) -> float:
    """Return what the power of the residual says, of which one block alone says little."""
    total, largest, doubtful = 0.0, -1e300, 0.0
    for block in range(BLOCKS):
        growth = grows * power[block] / still[block]
        part = growth / (1 + growth)
        ratio = freedom[block] * (residual[block] / still[block] * part - math.log1p(growth))
        doubtful += doubt * freedom[block] * part
        total += ratio
        largest = max(largest, ratio)
    total -= max(largest - _ALONE, 0.0)
    return total - min(max(total, 0.0), doubtful)


@compiled(
    "Tuple((float64[:,:,::1], float64[:,:,::1], float64[:,::1]))"
    "(float32[::1], float32[:,::1], float64[::1], float64[::1], float64)"
)
def _shapes(energy: Planes, products: Planes, hidden: Real, weight: Real, scale: float) -> tuple[Real, Real, Real]:
    """Return of each block the covariance of the three products, the Gram matrix of the shapes, and the products.

    Parameters
    ----------
    energy, products
        (x,) and (5, x) as of `_agreement` and `_difference`.
    hidden, weight
        (blocks,) power of noise in a column of E, and one over the variance of a real sample.
    scale
        The factor that belongs to E.
    """
    x = len(energy)
    noisy, gram, b = np.zeros((BLOCKS, 3, 3)), np.zeros((BLOCKS, 3, 3)), np.zeros((BLOCKS, 3))
    for i in range(x):
        block, place = i * BLOCKS // x, 2.0 * (i + 0.5) / x - 1.0
        w = weight[block] * scale * scale
        slope, mixed = products[3, i], products[4, i]
        one = noisy[block]
        one[0, 0] += w * energy[i]
        one[1, 1] += w * slope
        one[2, 2] += w * place * place * energy[i]
        one[1, 0] += w * mixed
        one[2, 0] += w * place * energy[i]
        one[2, 1] += w * place * mixed
        other = gram[block]
        other[0, 0] += w * (energy[i] - hidden[block])
        other[1, 1] += w * (slope - hidden[block] / 2)
        other[2, 2] += w * place * place * (energy[i] - hidden[block])
        other[1, 0] += w * mixed
        other[2, 0] += w * place * (energy[i] - hidden[block])
        other[2, 1] += w * place * mixed
        b[block, 0] += weight[block] * scale * products[1, i]
        b[block, 1] += weight[block] * scale * products[2, i]
        b[block, 2] += weight[block] * scale * place * products[1, i]
    for both in (noisy, gram):
        both[:, 0, 1], both[:, 0, 2], both[:, 1, 2] = both[:, 1, 0], both[:, 2, 0], both[:, 2, 1]
    return noisy, gram, b


@compiled(
    "Tuple((float64, float64, float64))(complex64[:,::1], float32[:,:,::1], float64[::1], float64[::1], boolean[::1],"
    " float64, float64, float64)"
)
def weigh(
    line: Complex,
    expected: Planes,
    error: Real,
    gain: Real,
    air: npt.NDArray[np.bool_],
    from_centre: float,
    own_noise: float,
    noise_of_sources: float,
) -> tuple[float, float, float]:
    """Weigh the difference between a line and what was expected of it.

    Parameters
    ----------
    line
        (coils, x) whitened.
    expected
        (2, coils, x) real and imaginary part.
    error, gain, air
        (blocks,) as in `qc.lines.Expectation`.
    from_centre
        Distance from the centre of k-space in cycles per pixel.
    own_noise, noise_of_sources
        Noise power of the line and of its sources relative to what whitening promised. Where blocks of air show more,
        it is more, so that noise is not taken for motion.

    Returns
    -------
    tuple
        Logarithm of the likelihood of motion over that of rest; power of the residual beyond noise and model error;
        power expected of the line without its noise.
    """
    coils, x = line.shape
    number = coils * (x // BLOCKS)
    own, sources = NOISE_POWER * number * own_noise, NOISE_POWER * number * noise_of_sources * gain
    agreement = _agreement(line, expected)
    common, energy = _in_blocks(agreement[0]), _in_blocks(agreement[1])
    scale = _scale(common.sum(), energy.sum(), sources.sum())
    sources = sources * scale**2
    products = _difference(line, expected, scale)
    residual, floor = _in_blocks(products[0]), own + sources
    louder = _louder(residual, floor, air)
    # what both have in common is signal, their noise is independent; the second term makes it so of the residual
    signal = scale * common + own * sources / floor**2 * (residual - louder * floor)
    by_chance = louder * np.sqrt(own * sources / (2 * number))
    power = np.maximum(signal - by_chance, 0.0)
    still = louder * floor + error * power
    excess, total = np.maximum(residual - still, 0.0).sum(), power.sum()
    if _one_frequency(products[0], floor, louder):
        return 0.0, 0.0, total
    hidden = NOISE_POWER * coils * noise_of_sources * louder * gain
    noisy, gram, b = _shapes(agreement[1], products, hidden, 2 * number / still, scale)
    relative = (error * power).sum() / max(total, 1e-30) / BLOCKS
    rest = np.array([_PHASE**2, _SHIFT**2, _PHASE**2]) + relative
    # the error of the weights is no noise: its power is known to about its own size
    freedom = 1 / (1 / number + (error * power / still) ** 2)
    doubt = _UNSURE if own_noise < _LOUDER else _UNSURE_ANEW
    best = -1e300
    for displacement in (_SMALL, _LARGE):
        turned = min((2 * math.pi * displacement * from_centre) ** 2, 1.0)
        along = min((2 * math.pi * displacement * _ALONG_X) ** 2, 1.0)
        motion = np.array([turned / 2, displacement * displacement / 2, turned / 2 / _TURNED])
        in_power = max(
            _in_power(residual, still, power, freedom, along, doubt),
            _in_power(residual, still, power, freedom, turned, doubt),
        )
        best = max(best, in_power - _THROUGH, in_power + _in_shape(noisy, gram, b, rest, motion))
    return best, excess, total

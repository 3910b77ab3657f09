"""One readout to one line of the image along x."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hardware.fourier import to_image


def to_image_line(
    samples: npt.NDArray[np.complex64], center_sample: int, encoded_x: int, image_x: int
) -> npt.NDArray[np.complex64]:
    """Transform a readout along x and cut the oversampling away.

    The sample ``center_sample`` becomes the centre of a grid of ``encoded_x`` points, so an asymmetric echo is
    placed where it belongs; points that were not measured are zero. The standard deviation of the noise is kept.

    Parameters
    ----------
    samples
        (coils, samples) complex64.
    center_sample
        Index of the sample at the centre of k-space.
    encoded_x
        Length of the transform, oversampling included.
    image_x
        Points to keep around the centre of the image.

    Returns
    -------
    ndarray
        (coils, image_x) complex64.
    """
    first = encoded_x // 2 - center_sample
    begin = min(max(0, first), encoded_x)
    end = begin + placed(samples.shape[1], center_sample, encoded_x)
    if begin == 0 and end == encoded_x:
        line = samples[:, -first : -first + encoded_x]
    else:
        line = np.zeros((samples.shape[0], encoded_x), np.complex64)
        line[:, begin:end] = samples[:, begin - first : end - first]
    start = encoded_x // 2 - image_x // 2
    return to_image(line, (-1,))[:, start : start + image_x]


def placed(samples: int, center_sample: int, encoded_x: int) -> int:
    """Return how many samples of a readout fall on the grid of `to_image_line`."""
    first = encoded_x // 2 - center_sample
    begin = min(max(0, first), encoded_x)
    return max(begin, min(encoded_x, first + samples)) - begin

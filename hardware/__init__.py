"""The ground floor: devices, Fourier transforms, latency. Knows no MRI.

Importing this package settles the thread policy of the process, so import it before anything that loads a numerical
library.
"""

from hardware import threads as _threads

_threads.settle()

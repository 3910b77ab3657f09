"""`boreside bench`: how long images take on this machine, as one JSON object and one page.

    workloads    what is scanned: a table, one line each
    load         a simulated scan, ready to be sent without reading or computing anything on the way
    run          one scan sent at a scanner's pace, and the way of each of its images
    series       many scans under one condition, summed up
    scenarios    the conditions: cold, new shape, warm, several at once, for a long time
    machine      memory, energy and everything needed to repeat the measurement
    result       how much is measured, and everything that was
    bench        all of it, in order
    plots, page  the page

The load is open-loop and counts from when a readout was *due* (`inline.scanner.client`), so that a node that stalls
cannot make its own waiting time disappear.
"""

"""Thalweg beside PyTorch: `make bench`, or `python -m benchmarks` where both are installed.

Everything is a ratio measured in one run. What is compared takes turns in one process, with the
same number of threads; the best of several rounds counts, because whatever else a machine does
only ever makes a round slower. Beside the ratios stands what this machine can do at most.
"""

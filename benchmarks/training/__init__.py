"""Whole trainings beside PyTorch and JAX: the same work, data, parameters and threads.

works      what is trained: networks, batches, optimizers, and the ratios to reach
in_*       a work written as the users of each framework write it
worker     a process of one framework, which runs a round when it is told to
suite      the workers in turns; compilation, calls, memory; the rows
"""

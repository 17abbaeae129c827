"""Reads and writes of any length, in bounded memory.

A stream is one call of the engine that is fed while it runs: it takes one turn for slots like any
other call, its leftovers are repacked with fresh entries into full requests, and its entries share
one budget. They take a bounded number of places in turn, so memory does not grow with the input.
"""

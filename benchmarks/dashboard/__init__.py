"""The load test: the dashboard example under uvicorn, in three ways of reading.

``python -m benchmarks.dashboard`` runs three kinds of processes beside its own: a server of items
that takes no time but the latency it is told to add (``service``), the example's application under
uvicorn with one worker (``modes``), and a load generator (``load``).
"""

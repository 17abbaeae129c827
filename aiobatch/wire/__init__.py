"""The wire: one request out, the answer's bytes back. It knows no batches."""

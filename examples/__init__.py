"""Scripts to copy from. Run one with ``python -m examples.basic_get``; README.md lists them."""

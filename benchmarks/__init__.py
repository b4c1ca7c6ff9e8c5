"""Ours and libotr side by side, in one run, doing the same work: `python -m benchmarks`.

What a machine is doing besides slows both alike when their samples are taken in turns, so the
ratio between them says more than either number, and goals are ratios.
"""

"""Speed and difficulty, measured: each module prints a table."""

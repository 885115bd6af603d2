"""Pages and pictures of runs, made from plain values: they know neither methods nor trainers."""

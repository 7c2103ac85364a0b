"""Objects to copy: which are fit, and their cut-outs."""

"""Training samples: crops of real photos with pasted groups of real cut-outs."""

"""Models: the click-to-mask network, the proposal and verification networks, and how they are trained."""

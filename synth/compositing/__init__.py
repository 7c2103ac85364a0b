"""How copies join the photo: light, colour, noise, shadow, seam; and what they hide."""

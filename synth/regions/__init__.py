"""Semantic regions: what a photo shows where, as far as placement needs to know."""

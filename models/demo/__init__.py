"""The demo: the main job on photos that installed packages bring along."""

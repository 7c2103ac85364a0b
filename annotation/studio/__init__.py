"""A Label Studio of our own: its environment, its server, its projects."""

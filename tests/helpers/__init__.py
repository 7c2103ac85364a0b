"""What several tests share: generated data and strategies, one subject per file."""

"""The machine learning backend that Label Studio talks to."""

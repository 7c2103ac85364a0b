"""The floor every other package stands on: images, masks, clicks, splits, metrics, reports."""
